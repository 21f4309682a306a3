"""The state machines, from their ASL files; the functions they call belong to the tasks service."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_ssm as ssm
from aws_cdk import aws_stepfunctions as sfn

from infra.alarms import FIVE_MINUTES, Alarms
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

FAILURES = 10
"""In five minutes: agents fail for reasons of their own, but rarely this many at a time."""


class WorkflowsStack(cdk.Stack):
    def __init__(self, app: cdk.App, stage: Stage) -> None:
        super().__init__(app, stage.named("workflows"), synthesizer=stage.synthesizer)
        functions = {name: self._function_arn(stage, name) for name in STEPS}
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("states.amazonaws.com"))
        invoke = iam.PolicyStatement(
            actions=["lambda:InvokeFunction"], resources=list(functions.values())
        )
        role.add_to_policy(invoke)
        asl = (ROOT / "infra/workflows/task_execution.asl.json").read_text()
        log_group = logs.LogGroup(
            self, "Log", retention=stage.log_retention, removal_policy=stage.removal
        )
        machine = sfn.StateMachine(
            self,
            "TaskExecution",
            state_machine_name=stage.task_execution,
            definition_body=sfn.DefinitionBody.from_string(asl),
            definition_substitutions={_camel(name): arn for name, arn in functions.items()},
            role=role,
            timeout=LONGEST_EXECUTION,
            tracing_enabled=stage.observes,
            logs=sfn.LogOptions(destination=log_group, level=sfn.LogLevel.ALL)
            if stage.observes
            else None,
        )
        if stage.observes:
            self._watch(machine, stage)

    def _watch(self, machine: sfn.StateMachine, stage: Stage) -> None:
        """A task that fails is an execution that fails; one that was aborted or too slow is not
        the agent's doing."""
        alarms = Alarms(self, stage, "tasks")
        failed = machine.metric_failed(period=FIVE_MINUTES, statistic="Sum")
        alarms.ring("Failed", failed, "workflow-failures", "Many tasks fail", FAILURES)
        for name, metric in (
            ("Aborted", machine.metric_aborted(period=FIVE_MINUTES, statistic="Sum")),
            ("TimedOut", machine.metric_timed_out(period=FIVE_MINUTES, statistic="Sum")),
        ):
            what = "An execution ended outside of our handlers"
            alarms.ring(name, metric, "workflow-failures", what)

    def _function_arn(self, stage: Stage, name: str) -> str:
        parameter = stage.parameter("tasks", name.replace("_", "-"))
        return ssm.StringParameter.value_for_string_parameter(self, parameter)


def _camel(name: str) -> str:
    return "".join(part.title() for part in name.split("_"))
