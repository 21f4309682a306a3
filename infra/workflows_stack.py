"""The state machines, from their ASL files; the functions they call belong to the tasks service."""

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_ssm as ssm
from aws_cdk import aws_stepfunctions as sfn

from infra.alarms import FIVE_MINUTES, Alarms
from infra.grants import allow
from infra.packaging import ROOT
from infra.stage import Stage

STEPS = (
    "initialize_task",
    "plan_task",
    "execute_step",
    "await_approval",
    "expire_approval",
    "complete_task",
    "handle_error",
)
LONGEST_EXECUTION = cdk.Duration.days(30)
"""A task may wait for several people, each for up to a week."""
COLLABORATE = "collaborate"
"""One function for all states of MultiAgent: none of them does more than read and write rows."""

FAILURES = 10
"""In five minutes: agents fail for reasons of their own, but rarely this many at a time."""


class WorkflowsStack(cdk.Stack):
    def __init__(self, app: cdk.App, stage: Stage) -> None:
        super().__init__(app, stage.named("workflows"), synthesizer=stage.synthesizer)
        self._stage = stage
        execution = self._machine("TaskExecution", STEPS, {})
        tasks = {"TaskExecution": execution.state_machine_arn}
        collaboration = self._machine("MultiAgent", (COLLABORATE,), tasks)
        self._may_run(collaboration, execution)
        if stage.observes:
            alarms = Alarms(self, stage, "tasks")
            self._watch(alarms, execution)
            self._watch(alarms, collaboration, "Collaborations")

    def _machine(
        self, name: str, functions: Sequence[str], others: dict[str, str]
    ) -> sfn.StateMachine:
        arns = {each: self._function_arn(each) for each in functions}
        role = iam.Role(
            self, f"{name}Role", assumed_by=iam.ServicePrincipal("states.amazonaws.com")
        )
        allow(role, "lambda:InvokeFunction", on=list(arns.values()))
        file = ROOT / f"infra/workflows/{_snake(name)}.asl.json"
        log_group = logs.LogGroup(
            self,
            f"{name}Log",
            retention=self._stage.log_retention,
            removal_policy=self._stage.removal,
        )
        return sfn.StateMachine(
            self,
            name,
            state_machine_name=self._stage.named(name),
            definition_body=sfn.DefinitionBody.from_string(file.read_text()),
            definition_substitutions={_camel(each): arn for each, arn in arns.items()} | others,
            role=role,
            timeout=LONGEST_EXECUTION,
            tracing_enabled=self._stage.observes,
            logs=sfn.LogOptions(destination=log_group, level=sfn.LogLevel.ALL)
            if self._stage.observes
            else None,
        )

    def _watch(self, alarms: Alarms, machine: sfn.StateMachine, prefix: str = "") -> None:
        """What fails is an execution that fails; one that was aborted or too slow is not the
        agents' doing."""
        failed = machine.metric_failed(period=FIVE_MINUTES, statistic="Sum")
        what = "Many tasks or collaborations fail"
        alarms.ring(f"{prefix}Failed", failed, "workflow-failures", what, FAILURES)
        for name, metric in (
            ("Aborted", machine.metric_aborted(period=FIVE_MINUTES, statistic="Sum")),
            ("TimedOut", machine.metric_timed_out(period=FIVE_MINUTES, statistic="Sum")),
        ):
            what = "An execution ended outside of our handlers"
            alarms.ring(f"{prefix}{name}", metric, "workflow-failures", what)

    def _may_run(self, parent: sfn.StateMachine, child: sfn.StateMachine) -> None:
        """What `startExecution.sync:2` takes: Step Functions hears of the end through a rule of its
        own."""
        executions = f"{self._stage.task_execution}:*"
        rule = "StepFunctionsGetEventsForStepFunctionsExecutionRule"
        role = parent.role
        assert isinstance(role, iam.Role)
        allow(role, "states:StartExecution", on=[child.state_machine_arn])
        allow(
            role,
            "states:DescribeExecution",
            "states:StopExecution",
            on=[self._arn("states", "execution", executions, cdk.ArnFormat.COLON_RESOURCE_NAME)],
        )
        allow(
            role,
            "events:PutTargets",
            "events:PutRule",
            "events:DescribeRule",
            on=[self._arn("events", "rule", rule, cdk.ArnFormat.SLASH_RESOURCE_NAME)],
        )

    def _arn(self, service: str, resource: str, name: str, form: cdk.ArnFormat) -> str:
        return self.format_arn(
            service=service, resource=resource, resource_name=name, arn_format=form
        )

    def _function_arn(self, name: str) -> str:
        parameter = self._stage.parameter("tasks", name.replace("_", "-"))
        return ssm.StringParameter.value_for_string_parameter(self, parameter)


def _camel(name: str) -> str:
    return "".join(part.title() for part in name.split("_"))


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
