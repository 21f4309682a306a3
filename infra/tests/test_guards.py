"""What public rules say about the templates, and what we ask of permissions and of failures."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.stage import SERVICES
from infra.tests.explanations import CFN_LINT, EVERYTHING, NAG, Explanation
from infra.tests.synthesis import Finding, Synthesis, Template, resources

STAGES = ("local", "production", "pipeline")
JUDGED = ("production", "pipeline")
Synthesise = Callable[[str], Synthesis]
Statement = dict[str, Any]


def explained(finding: Finding) -> list[Explanation]:
    return [each for each in NAG if each.covers(finding.rule, finding.path)]


def test_every_finding_of_the_aws_solutions_is_explained(synthesis: Synthesise) -> None:
    found = [each for stage in JUDGED for each in synthesis(stage).findings]
    assert found
    assert [finding for finding in found if not explained(finding)] == []


def test_every_explanation_is_still_needed(synthesis: Synthesise) -> None:
    found = [each for stage in JUDGED for each in synthesis(stage).findings]
    used = {each for finding in found for each in explained(finding)}
    assert set(NAG) - used == set()


def test_cloudformation_knows_everything_that_is_asked_for(synthesis: Synthesise) -> None:
    files = [str(file) for stage in STAGES for file in synthesis(stage).template_files]
    ignored = [option for rule in CFN_LINT for option in ("--ignore-checks", rule)]
    lint = Path(sys.executable).with_name("cfn-lint")
    done = subprocess.run(
        [lint, *ignored, "--", *files], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def policies(template: Template) -> Iterator[Statement]:
    """Every statement by which something of this template may do something."""
    for name, resource in template["Resources"].items():
        properties = resource.get("Properties", {})
        if resource["Type"] in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
            yield from properties["PolicyDocument"]["Statement"]
        for inline in properties.get("Policies", ()) if "IAM::Role" in resource["Type"] else ():
            yield from inline["PolicyDocument"]["Statement"]
        assert not (resource["Type"] == "AWS::Serverless::Function" and "Policies" in properties), (
            f"{name} makes a role of its own"
        )


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@pytest.mark.parametrize("stage", STAGES)
def test_no_action_is_every_action(synthesis: Synthesise, stage: str) -> None:
    for part, template in synthesis(stage).templates.items():
        for statement in policies(template):
            wide = [a for a in listed(statement["Action"]) if a.endswith("*")]
            assert not [a for a in wide if not (stage == "pipeline" and a.startswith("s3:"))], part


@pytest.mark.parametrize("stage", STAGES)
def test_no_resource_is_every_resource_without_a_reason(synthesis: Synthesise, stage: str) -> None:
    for part, template in synthesis(stage).templates.items():
        for statement in policies(template):
            if "*" in listed(statement["Resource"]):
                actions = listed(statement["Action"])
                assert [a for a in actions if (part, a) in EVERYTHING], (part, statement)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_reaches_its_own_table_alone(synthesis: Synthesise, service: str) -> None:
    template = synthesis("production").templates[service]
    tables = set(resources(template, "AWS::DynamoDB::Table"))
    touched = [
        resource
        for statement in policies(template)
        if any(action.startswith("dynamodb:") for action in listed(statement["Action"]))
        for resource in listed(statement["Resource"])
    ]
    assert touched
    for resource in touched:
        assert named_in(resource) <= tables, resource


def named_in(value: Any) -> set[str]:
    """The logical ids that a value refers to."""
    if isinstance(value, list):
        return {name for each in value for name in named_in(each)}
    if not isinstance(value, dict):
        return set()
    if "Fn::GetAtt" in value:
        return {value["Fn::GetAtt"][0]}
    if "Ref" in value:
        return set() if value["Ref"].startswith("AWS::") else {value["Ref"]}
    return {name for each in value.values() for name in named_in(each)}


@pytest.mark.parametrize("stage", ["local", "production"])
def test_whatever_is_delivered_has_dead_letters_with_an_alarm(
    synthesis: Synthesise, stage: str
) -> None:
    """Targets of rules and schedules, queues that feed functions, streams."""
    checked = 0
    for part, template in synthesis(stage).templates.items():
        watched = watched_queues(template)
        for where, dead_letters in deliveries(template):
            checked += 1
            assert named_in(dead_letters) & watched, f"{part}: {where} has no watched dead letters"
    assert checked > 30


def deliveries(template: Template) -> Iterator[tuple[str, Any]]:
    """Each delivery of the template and its dead letters, if it has any."""
    for name, rule in resources(template, "AWS::Events::Rule").items():
        for target in rule["Targets"]:
            yield f"a target of {name}", target.get("DeadLetterConfig")
    for name, schedule in resources(template, "AWS::Scheduler::Schedule").items():
        yield name, schedule["Target"].get("DeadLetterConfig")
    for name, mapping in resources(template, "AWS::Lambda::EventSourceMapping").items():
        source = mapping["EventSourceArn"]
        if "dead-letters" in json.dumps(source) or "DeadLetters" in json.dumps(source):
            continue  # what cannot be collected stays there
        queue = resources(template, "AWS::SQS::Queue").get(*named_in(source))
        of_stream = mapping.get("DestinationConfig", {}).get("OnFailure")
        yield name, queue.get("RedrivePolicy") if queue else of_stream


def watched_queues(template: Template) -> set[str]:
    return {
        queue
        for alarm in resources(template, "AWS::CloudWatch::Alarm").values()
        if alarm.get("MetricName") == "ApproximateNumberOfMessagesVisible"
        for queue in named_in(alarm["Dimensions"])
    }


@pytest.mark.parametrize("stage", STAGES)
def test_everything_says_whose_it_is(synthesis: Synthesise, stage: str) -> None:
    """By a tag of its stack, which CloudFormation hands on to all that is in it."""
    manifest = json.loads((synthesis(stage).directory / "manifest.json").read_text())
    stacks = [a for a in manifest["artifacts"].values() if a["type"] == "aws:cloudformation:stack"]
    assert len(stacks) >= 7
    for stack in stacks:
        assert stack["properties"]["tags"]["owner"], stack["displayName"]
