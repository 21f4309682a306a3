"""The CDK app: `cdk deploy agentic-<stage>-<part>` builds that part alone (`-c only=<part>`)."""

import aws_cdk as cdk

from infra.dashboard_stack import DashboardStack
from infra.example_tools_stack import ExampleToolsStack
from infra.front_door_stack import FrontDoorStack
from infra.platform_stack import PlatformStack
from infra.services import SERVICE_STACKS
from infra.stage import SERVICES, Stage
from infra.workflows_stack import WorkflowsStack

READS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(SERVICES, ("platform", "auth")),  # their APIs ask its authorizer
    "auth": ("platform",),
    "events": tuple(part for part in ("platform", *SERVICES) if part != "events"),
    "workflows": ("tasks",),
    "front-door": ("platform", *SERVICES),
}
"""Part → the parts whose parameters, secrets and queues it looks up while it is deployed."""


def build(app: cdk.App, stage: Stage, only: str | None = None) -> dict[str, cdk.Stack]:
    """The stage's stacks, by the name of their part, or the one that is asked for."""
    stacks = {
        "platform": PlatformStack,
        **SERVICE_STACKS,
        "workflows": WorkflowsStack,
        "tools": ExampleToolsStack,
        **({"front-door": FrontDoorStack} if stage.has_cloudfront else {}),
        **({"dashboard": DashboardStack} if stage.observes else {}),
    }
    made: dict[str, cdk.Stack] = {
        part: make(app, stage) for part, make in stacks.items() if only in (None, part)
    }
    for part, stack in made.items():
        cdk.Tags.of(stack).add("owner", part)
    for dependent, reads in READS.items():
        for part in reads:
            if dependent in made and part in made:
                made[dependent].add_dependency(made[part], "it reads what the other publishes")
    return made


def main() -> None:
    app = cdk.App()
    build(app, Stage.of(app), app.node.try_get_context("only"))
    app.synth()


if __name__ == "__main__":
    main()
