"""The CDK app: `cdk deploy agentic-<stage>-<part>` builds that part alone (`-c only=<part>`)."""

import aws_cdk as cdk

from infra.example_tools_stack import ExampleToolsStack
from infra.platform_stack import PlatformStack
from infra.services import SERVICE_STACKS
from infra.stage import Stage
from infra.workflows_stack import WorkflowsStack


def main() -> None:
    app = cdk.App()
    stage = Stage.of(app)
    only = app.node.try_get_context("only")
    stacks = {
        "platform": PlatformStack,
        **SERVICE_STACKS,
        "workflows": WorkflowsStack,
        "tools": ExampleToolsStack,
    }
    made = {part: make(app, stage) for part, make in stacks.items() if only in (None, part)}
    if "workflows" in made and "tasks" in made:
        made["workflows"].add_dependency(made["tasks"], "it reads the functions' parameters")
    app.synth()


if __name__ == "__main__":
    main()
