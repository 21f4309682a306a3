"""The CDK app: `cdk deploy agentic-<stage>-<part>` builds that part alone (`-c only=<part>`)."""

import aws_cdk as cdk

from infra.services import SERVICE_STACKS
from infra.platform_stack import PlatformStack
from infra.stage import Stage


def main() -> None:
    app = cdk.App()
    stage = Stage.of(app)
    only = app.node.try_get_context("only")
    stacks = {"platform": PlatformStack, **SERVICE_STACKS}
    for part, stack in stacks.items():
        if only in (None, part):
            stack(app, stage)
    app.synth()


if __name__ == "__main__":
    main()
