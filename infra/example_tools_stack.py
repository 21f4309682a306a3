"""The example tools: one `agentic-tool-*` function per file in examples/tools."""

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs

from infra.packaging import ROOT
from infra.stage import Stage


class ExampleToolsStack(cdk.Stack):
    def __init__(self, app: cdk.App, stage: Stage) -> None:
        super().__init__(app, stage.named("tools"), synthesizer=stage.synthesizer)
        self.log_group = logs.LogGroup(
            self,
            "Log",
            log_group_name=stage.log_group("tools"),
            retention=stage.log_retention,
            removal_policy=stage.removal,
        )
        self._tool("calculator")
        self._tool("clock")
        notes = self._tool("notes")
        table = dynamodb.Table(
            self,
            "NotesTable",
            partition_key=dynamodb.Attribute(name="owner", type=dynamodb.AttributeType.STRING),
            sort_key=dynamodb.Attribute(name="key", type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            deletion_protection=stage.protects_data,
            removal_policy=stage.removal,
        )
        table.grant_read_write_data(notes)
        notes.add_environment("TABLE_NAME", table.table_name)

    def _tool(self, name: str) -> lambda_.Function:
        return lambda_.Function(
            self,
            name.title(),
            function_name=f"agentic-tool-{name}",
            runtime=lambda_.Runtime.PYTHON_3_11,
            handler=f"{name}.handler",
            code=lambda_.Code.from_asset(str(ROOT / "examples/tools"), exclude=["__pycache__"]),
            timeout=cdk.Duration.seconds(20),
            log_group=self.log_group,
        )
