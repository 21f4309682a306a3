"""The release pipelines: when they start, what they do in which order, what they may."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from common.events.catalogue import CATALOGUE

from docs.contracts import broken
from docs.generate import ROOT, SCHEMAS
from infra.releases import RELEASES, Release
from infra.stage import SERVICES
from infra.tests.synthesis import Synthesis, Template, resources

STAGES = (
    *("Source", "Test", "Contracts", "Staging", "Smoke"),
    *("Approval", "Production", "ProductionSmoke"),
)
RELEASE = {release.name: release for release in RELEASES}


@pytest.fixture(scope="session")
def pipelines(synthesis: Callable[[str], Synthesis]) -> dict[str, Template]:
    return synthesis("pipeline").templates


def pipeline_of(template: Template) -> dict[str, Any]:
    (pipeline,) = resources(template, "AWS::CodePipeline::Pipeline").values()
    return dict(pipeline)


def commands(template: Template, project: str) -> list[str]:
    """What the project's build runs."""
    (found,) = [
        p
        for name, p in resources(template, "AWS::CodeBuild::Project").items()
        if p["Description"].startswith(f"{project} of")
    ]
    return list(json.loads(found["Source"]["BuildSpec"])["phases"]["build"]["commands"])


def test_each_service_and_the_platform_have_one(pipelines: dict[str, Template]) -> None:
    assert set(pipelines) == {*SERVICES, "platform"} == set(RELEASE)


@pytest.mark.parametrize("name", RELEASE)
def test_it_goes_through_all_stages_one_release_at_a_time(
    pipelines: dict[str, Template], name: str
) -> None:
    pipeline = pipeline_of(pipelines[name])
    assert tuple(stage["Name"] for stage in pipeline["Stages"]) == STAGES
    assert (pipeline["PipelineType"], pipeline["ExecutionMode"]) == ("V2", "QUEUED")
    (approval,) = pipeline["Stages"][STAGES.index("Approval")]["Actions"]
    assert approval["ActionTypeId"]["Category"] == "Approval"


@pytest.mark.parametrize("service", SERVICES)
def test_a_services_pipeline_starts_with_its_own_changes_alone(
    pipelines: dict[str, Template], service: str
) -> None:
    (trigger,) = pipeline_of(pipelines[service])["Triggers"]
    (push,) = trigger["GitConfiguration"]["Push"]
    assert push["Branches"] == {"Includes": ["main"]}
    paths = push["FilePaths"]["Includes"]
    assert paths[:2] == [f"services/{service}/**", "libs/common/**"]
    assert [path for path in paths[2:] if not (ROOT / path).is_file()] == []
    (source,) = pipeline_of(pipelines[service])["Stages"][0]["Actions"]
    assert source["Configuration"]["DetectChanges"] is False


def test_every_file_of_infra_belongs_to_somebody() -> None:
    platform = RELEASE["platform"]
    owned = {path for service in SERVICES for path in RELEASE[service].paths}
    for file in (ROOT / "infra").glob("*.py"):
        path = str(file.relative_to(ROOT))
        assert path in owned or path not in platform.ignored


@pytest.mark.parametrize("service", SERVICES)
def test_a_services_pipeline_deploys_that_service_alone(
    pipelines: dict[str, Template], service: str
) -> None:
    for project in ("DeployStaging", "DeployProduction"):
        (deploys,) = [c for c in commands(pipelines[service], project) if "deploy" in c]
        assert f" agentic-$STAGE-{service} -c only={service} -c stage=$STAGE " in deploys
        assert not [other for other in SERVICES if other != service and f"-{other} " in deploys]


def test_everything_is_deployed_by_somebody(synthesis: Callable[[str], Synthesis]) -> None:
    parts = [part for release in RELEASES for part in release.parts]
    assert sorted(parts) == sorted(synthesis("production").templates)


def roles(template: Template) -> Iterator[tuple[str, set[str], str]]:
    """Each policy's name, its actions, and its resources as text."""
    for name, policy in resources(template, "AWS::IAM::Policy").items():
        for statement in policy["PolicyDocument"]["Statement"]:
            actions = statement["Action"]
            listed = {actions} if isinstance(actions, str) else set(actions)
            yield name, listed, json.dumps(statement["Resource"])


@pytest.mark.parametrize("name", RELEASE)
def test_only_deployments_may_deploy_and_only_smoke_knows_a_key(
    pipelines: dict[str, Template], name: str
) -> None:
    found = list(roles(pipelines[name]))
    bootstrap = [
        (who, on) for who, what, on in found if "sts:AssumeRole" in what and "cdk-hnb659fds" in on
    ]
    assert {who.split("Role")[0] for who, _ in bootstrap} == {"DeployStaging", "DeployProduction"}
    keys = {
        who.split("Role")[0] for who, what, _ in found if "secretsmanager:GetSecretValue" in what
    }
    assert keys == {"SmokeStaging", "SmokeProduction"}
    others = {"iam:", "cloudformation:", "lambda:", "dynamodb:"}
    assert not [who for who, what, _ in found if any(a.startswith(tuple(others)) for a in what)]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository whose only commit released the events as they are."""
    target = tmp_path / SCHEMAS.relative_to(ROOT)
    target.mkdir(parents=True)
    for file in SCHEMAS.glob("*.json"):
        (target / file.name).write_text(file.read_text())
    commit(tmp_path, "init", "-q")
    commit(tmp_path, "add", "-A")
    commit(tmp_path, "commit", "-q", "-m", "released")
    return tmp_path


def commit(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=test", "-c", "user.email=test@example.com")
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True)


def release_with(repository: Path, event: str, field: str) -> None:
    """Production has an event that says more than the code at hand does."""
    file = repository / SCHEMAS.relative_to(ROOT) / f"{event}.json"
    released = json.loads(file.read_text())
    released["properties"][field] = {"type": "string"}
    file.write_text(json.dumps(released))
    commit(repository, "commit", "-q", "-a", "-m", "released more")


def test_what_was_not_changed_breaks_nothing(repository: Path) -> None:
    assert [broken(release, "HEAD", repository) for release in RELEASES] == [[]] * len(RELEASES)
    assert broken(RELEASE["tasks"], "no-such-commit", repository) == []


@pytest.mark.parametrize("producer", sorted({entry.producer for entry in CATALOGUE}))
def test_a_breaking_change_stops_in_the_producers_pipeline(repository: Path, producer: str) -> None:
    event = next(e.event for e in CATALOGUE if e.producer == producer).__name__
    release_with(repository, event, "promised")
    told = f"{event}: promised is missing"
    stopped = [release for release in RELEASES if told in broken(release, "HEAD", repository)]
    assert {release.name for release in stopped} == {producer, "platform"}


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.name)
def test_contracts_are_checked_before_anything_is_deployed(
    pipelines: dict[str, Template], release: Release
) -> None:
    checked = commands(pipelines[release.name], "Contracts")
    assert checked[-2:] == [
        "python -m docs.generate --check",
        "python -m docs.contracts check $RELEASE",
    ]
    recorded = [c for c in commands(pipelines[release.name], "DeployProduction") if "record" in c]
    assert recorded == ["python -m docs.contracts record $RELEASE"]
    assert STAGES.index("Contracts") < STAGES.index("Staging")
