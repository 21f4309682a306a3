"""The templates: what CloudFormation is asked for, on the laptop and on AWS."""

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import assertions
from common.events.catalogue import consumed_by, sources_of

from infra.example_tools_stack import ExampleToolsStack
from infra.front_door_stack import FrontDoorStack
from infra.packaging import ROOT
from infra.platform_stack import PlatformStack
from infra.services import SERVICE_STACKS
from infra.stage import SERVICES, Stage
from infra.workflows_stack import WorkflowsStack

Template = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class UnbundledStage(Stage):
    """A real stage whose packages lack their dependencies: nothing is downloaded here."""

    @property
    def bundles_dependencies(self) -> bool:
        return False


def synthesized(make: Any) -> Template:
    app = cdk.App()
    return dict(assertions.Template.from_stack(make(app, UnbundledStage("staging"))).to_json())


@pytest.fixture(scope="session")
def templates() -> dict[str, Template]:
    others = {
        "platform": PlatformStack,
        "workflows": WorkflowsStack,
        "tools": ExampleToolsStack,
        "front-door": FrontDoorStack,
    }
    return {name: synthesized(make) for name, make in (SERVICE_STACKS | others).items()}


def resources(template: Template, kind: str) -> dict[str, Any]:
    found = template["Resources"].items()
    return {name: r["Properties"] for name, r in found if r["Type"] == kind}


def as_text(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def statements(template: Template) -> Iterator[dict[str, Any]]:
    for policy in resources(template, "AWS::IAM::Policy").values():
        yield from policy["PolicyDocument"]["Statement"]


def actions(statement: dict[str, Any]) -> set[str]:
    value = statement["Action"]
    return {value} if isinstance(value, str) else set(value)


def test_there_is_a_stack_for_every_service() -> None:
    assert tuple(SERVICE_STACKS) == SERVICES


def test_no_stack_needs_another_ones_export(templates: dict[str, Template]) -> None:
    for template in templates.values():
        assert "Fn::ImportValue" not in json.dumps(template)
        assert not [o for o in template.get("Outputs", {}).values() if "Export" in o]


@pytest.mark.parametrize("service", SERVICES)
def test_the_rules_are_the_catalogues(templates: dict[str, Template], service: str) -> None:
    rules = resources(templates[service], "AWS::Events::Rule").values()
    patterns = [rule["EventPattern"] for rule in rules if "EventPattern" in rule]
    expected = [event.pattern() for event in consumed_by(service)]
    assert sorted(map(as_text, patterns)) == sorted(map(as_text, expected))


@pytest.mark.parametrize("service", SERVICES)
def test_every_target_and_queue_has_dead_letters(
    templates: dict[str, Template], service: str
) -> None:
    template = templates[service]
    for rule in resources(template, "AWS::Events::Rule").values():
        if "EventPattern" in rule:
            assert all("DeadLetterConfig" in target for target in rule["Targets"])
    queues = resources(template, "AWS::SQS::Queue")
    assert [name for name, queue in queues.items() if "RedrivePolicy" not in queue] == [
        name for name in queues if name.startswith("DeadLetters")
    ]
    assert resources(template, "AWS::CloudWatch::Alarm")


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_publishes_under_its_own_sources_alone(
    templates: dict[str, Template], service: str
) -> None:
    puts = [s for s in statements(templates[service]) if "events:PutEvents" in actions(s)]
    allowed = [s["Condition"]["StringEquals"]["events:source"] for s in puts]
    assert allowed == ([list(sources_of(service))] if sources_of(service) else [])


def test_the_authorizer_cannot_write(templates: dict[str, Template]) -> None:
    template = templates["auth"]
    function = resources(template, "AWS::Serverless::Function")["Authorize"]
    role = function["Role"]["Fn::GetAtt"][0]
    for policy in resources(template, "AWS::IAM::Policy").values():
        if {"Ref": role} in policy["Roles"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                assert not [a for a in actions(statement) if "Put" in a or "Delete" in a]


def test_tasks_may_invoke_tools_alone(templates: dict[str, Template]) -> None:
    invokes = [s for s in statements(templates["tasks"]) if "lambda:InvokeFunction" in actions(s)]
    assert len(invokes) == 1
    assert "function:agentic-tool-*" in json.dumps(invokes[0]["Resource"])


@pytest.mark.parametrize("service", SERVICES)
def test_no_permission_is_for_everything(templates: dict[str, Template], service: str) -> None:
    for statement in statements(templates[service]):
        assert "*" not in actions(statement)
        assert statement["Resource"] != "*", statement


@pytest.mark.parametrize("service", SERVICES)
def test_tables_survive_mistakes(templates: dict[str, Template], service: str) -> None:
    (table,) = resources(templates[service], "AWS::DynamoDB::Table").values()
    assert table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True
    assert table["TimeToLiveSpecification"] == {"AttributeName": "TTL", "Enabled": True}


def test_the_front_door_routes_by_the_services_paths(templates: dict[str, Template]) -> None:
    (distribution,) = resources(templates["front-door"], "AWS::CloudFront::Distribution").values()
    behaviors = distribution["DistributionConfig"]["CacheBehaviors"]
    patterns = [behavior["PathPattern"] for behavior in behaviors]
    assert patterns.index("/agents/*/tasks*") < patterns.index("/agents*")
    assert patterns.index("/agents/*/status*") < patterns.index("/agents*")
    assert len(patterns) <= 25


def rest_function(templates: dict[str, Template], service: str) -> dict[str, Any]:
    return dict(resources(templates[service], "AWS::Serverless::Function")["APIHandler"])


def parameter(template: Template, reference: dict[str, str]) -> str:
    """The SSM parameter that a reference to a template's parameter stands for."""
    return str(template["Parameters"][reference["Ref"]]["Default"])


def published(templates: dict[str, Template], name: str) -> Any:
    found = resources(templates["platform"], "AWS::SSM::Parameter").values()
    (value,) = [p["Value"] for p in found if p["Name"] == f"/agentic/staging/platform/{name}"]
    return value


@pytest.mark.parametrize("service", SERVICES)
def test_only_the_rest_function_knows_of_the_cache(
    templates: dict[str, Template], service: str
) -> None:
    functions = resources(templates[service], "AWS::Serverless::Function")
    knowing = [
        name
        for name, function in functions.items()
        if {"REDIS_URL", "FRONT_DOOR_SECRET"} & function["Environment"]["Variables"].keys()
        or "VpcConfig" in function
    ]
    assert knowing == ["APIHandler"]
    variables = functions["APIHandler"]["Environment"]["Variables"]
    url = parameter(templates[service], variables["REDIS_URL"])
    assert url == "/agentic/staging/platform/cache-url"
    assert variables["ADDRESS_REQUESTS_PER_MINUTE"] == "6000"


@pytest.mark.parametrize("service", SERVICES)
def test_the_rest_function_is_where_the_cache_can_be_reached(
    templates: dict[str, Template], service: str
) -> None:
    template = templates[service]
    network = rest_function(templates, service)["VpcConfig"]
    (group,) = network["SecurityGroupIds"]
    assert parameter(template, group) == "/agentic/staging/platform/cache-callers"
    assert parameter(template, network["SubnetIds"]) == "/agentic/staging/platform/subnets"
    policies = json.dumps(list(resources(template, "AWS::IAM::Role").values()))
    assert "AWSLambdaVPCAccessExecutionRole" in policies


def test_the_cache_admits_its_callers_and_nobody_else(templates: dict[str, Template]) -> None:
    template = templates["platform"]
    callers = published(templates, "cache-callers")
    (cache,) = resources(template, "AWS::ElastiCache::ReplicationGroup").values()
    admitted = [
        (rule["GroupId"], rule["FromPort"], rule["ToPort"], rule["SourceSecurityGroupId"])
        for rule in resources(template, "AWS::EC2::SecurityGroupIngress").values()
        if rule["GroupId"] in cache["SecurityGroupIds"]
    ]
    assert admitted == [(cache["SecurityGroupIds"][0], 6379, 6379, callers)]
    assert cache["Port"] == 6379
    inline = [g for g in resources(template, "AWS::EC2::SecurityGroup").values()]
    assert not [group for group in inline if "SecurityGroupIngress" in group]


def test_from_the_caches_network_aws_is_reached_without_the_internet(
    templates: dict[str, Template],
) -> None:
    endpoints = resources(templates["platform"], "AWS::EC2::VPCEndpoint").values()
    kinds = {
        as_text(each["ServiceName"]).rpartition(".")[2].rstrip('"]}'): each["VpcEndpointType"]
        for each in endpoints
    }
    assert kinds == {"dynamodb": "Gateway", "secretsmanager": "Interface", "kms": "Interface"}
    assert not resources(templates["platform"], "AWS::EC2::NatGateway")


@pytest.mark.parametrize("service", SERVICES)
def test_the_rest_function_can_tell_who_came_through_cloudfront(
    templates: dict[str, Template], service: str
) -> None:
    variables = rest_function(templates, service)["Environment"]["Variables"]
    assert variables["FRONT_DOOR_SECRET"] == "agentic-staging-front-door"
    reads = [s for s in statements(templates[service]) if "kms:Decrypt" in actions(s)]
    assert [parameter(templates[service], s["Resource"]) for s in reads] == [
        "/agentic/staging/platform/secrets-key"
    ]
    may = [s for s in statements(templates[service]) if "GetSecretValue" in as_text(s["Action"])]
    assert "staging-front-door-*" in as_text(may)


def test_cloudfront_shows_every_service_its_secret(templates: dict[str, Template]) -> None:
    (distribution,) = resources(templates["front-door"], "AWS::CloudFront::Distribution").values()
    for origin in distribution["DistributionConfig"]["Origins"]:
        (header,) = origin["OriginCustomHeaders"]
        assert header == {
            "HeaderName": "x-front-door",
            "HeaderValue": "{{resolve:secretsmanager:agentic-staging-front-door:SecretString:::}}",
        }


def test_deploying_one_service_builds_that_service_alone(tmp_path: Path) -> None:
    environment = os.environ | {
        "CDK_CONTEXT_JSON": json.dumps({"stage": "local", "only": "events"}),
        "CDK_OUTDIR": str(tmp_path),
    }
    subprocess.run([sys.executable, "-m", "infra.app"], cwd=ROOT, env=environment, check=True)
    assert [file.name for file in tmp_path.glob("*.template.json")] == [
        "agentic-local-events.template.json"
    ]
    assert len(list(tmp_path.glob("asset.*.zip"))) == 1
