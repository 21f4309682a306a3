"""The templates of a stage, made once for all tests of a run: starting the CDK takes seconds."""

import dataclasses
import fcntl
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import aws_cdk as cdk
from aws_cdk import Validations
from cdk_nag import AwsSolutionsChecks

from infra import pipelines
from infra.app import build
from infra.stage import Stage

Template = dict[str, Any]
REPOSITORY = "acme/agents"
CONNECTION = "arn:aws:codeconnections:us-east-1:111111111111:connection/abc"


@dataclasses.dataclass(frozen=True)
class UnbundledStage(Stage):
    """A stage whose packages lack their dependencies: nothing is downloaded here."""

    @property
    def bundles_dependencies(self) -> bool:
        return False


@dataclass(frozen=True, order=True)
class Finding:
    rule: str
    path: str
    text: str


@dataclass(frozen=True)
class Synthesis:
    stage: str
    directory: Path

    @cached_property
    def templates(self) -> dict[str, Template]:
        """By the name of the part."""
        return {
            self.part(file): json.loads(file.read_text()) for file in sorted(self.template_files)
        }

    @property
    def template_files(self) -> list[Path]:
        return list(self.directory.glob("*.template.json"))

    def part(self, file: Path) -> str:
        return file.name.removeprefix(f"agentic-{self.stage}-").removesuffix(".template.json")

    @property
    def findings(self) -> list[Finding]:
        """What the rules of AwsSolutions object to."""
        report = json.loads((self.directory / "validation-report.json").read_text())
        return sorted(
            Finding(violation["ruleName"], construct["constructPath"], violation["description"])
            for plugin in report["pluginReports"]
            for violation in plugin["violations"]
            for construct in violation["violatingConstructs"]
        )


def synthesise(stage: str, directory: Path) -> Synthesis:
    """Of a stage, or of the pipelines. Whoever comes first makes it; the other processes of the
    run read what it made."""
    directory.mkdir(parents=True, exist_ok=True)
    done = directory / ".done"
    with (directory / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            _make(stage, directory)
            done.touch()
    return Synthesis(stage, directory)


def _make(stage: str, directory: Path) -> None:
    app = cdk.App(outdir=str(directory))
    if stage == "pipeline":
        pipelines.build(app, REPOSITORY, CONNECTION)
    else:
        build(app, UnbundledStage(stage))
    if stage == "local":
        app.synth()
        return
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    try:
        app.synth()
    except RuntimeError as error:  # how a finding is told; the report says which
        if "ValidationFailed" not in str(error):
            raise


def resources(template: Template, kind: str) -> dict[str, Any]:
    found = template["Resources"].items()
    return {name: r.get("Properties", {}) for name, r in found if r["Type"] == kind}
