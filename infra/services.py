"""The services' stacks; each says only what is special about it."""

import aws_cdk as cdk
from aws_cdk import aws_sam as sam

from infra.auth_stack import AuthStack
from infra.events_stack import EventsStack
from infra.platform_stack import PROVIDERS
from infra.service_stack import ServiceStack
from infra.websocket_api import open_sockets
from infra.workflows_stack import COLLABORATE, STEPS

CONVERSE_SECONDS = 180
"""Enough for one call of a model and what comes of it; what takes longer goes on in the next."""


class AgentsStack(ServiceStack):
    service = "agents"
    cached = ("consume",)


class TasksStack(ServiceStack):
    """Plans and executes tasks: reads the provider keys, starts its machine, invokes tools."""

    service = "tasks"

    def variables(self) -> dict[str, str]:
        providers = {
            f"{name.upper()}_SECRET": self.stage.named(f"{name}-key") for name in PROVIDERS
        }
        machines = {
            "STATE_MACHINE_ARN": self._machine_arn(self.stage.task_execution),
            "MULTI_AGENT_ARN": self._machine_arn(self.stage.multi_agent),
        }
        return super().variables() | machines | providers | self.stage.provider_urls

    def extend(self) -> None:
        for provider in PROVIDERS:
            self.grant_secret(f"{provider}-key")
        machines = [
            self._machine_arn(name) for name in (self.stage.task_execution, self.stage.multi_agent)
        ]
        self.grant("states:StartExecution", on=machines)
        self.grant("states:ListExecutions", on=machines[:1])
        self.grant(
            "states:SendTaskSuccess",
            on=machines[:1] if self.stage.knows_whose_token_it_is else ["*"],
        )
        self.grant("lambda:InvokeFunction", on=[self._tools_arn()])
        for step in (*STEPS, COLLABORATE):
            self.publish_parameter(self.function_arn(step), step.replace("_", "-"))
        for step in ("plan_task", "execute_step", "converse"):
            self._asks_a_model(self.function(step))
        self.cache.give(self.function("consume"), outward=True)
        self._hold_conversations()
        self.every_minute("Reconcile", "reconcile")

    def _hold_conversations(self) -> None:
        """One session at a time to each invocation: a long answer holds up nobody else."""
        converse = self.function("converse")
        converse.timeout = CONVERSE_SECONDS
        seconds = cdk.Duration.seconds(CONVERSE_SECONDS + 10)
        queue = self.queue_into("converse", "Conversations", 100, batch_size=1, visibility=seconds)
        queue.grant_send_messages(self.role)
        for name in ("consume", "converse"):
            self.function(name).add_property_override(
                "Environment.Variables.CONVERSATIONS_URL", queue.queue_url
            )

    def _asks_a_model(self, function: sam.CfnFunction) -> None:
        function.timeout = 300
        function.memory_size = 1024
        variables = self.variables() | {"PRELOAD_PROVIDERS": ",".join(self.stage.preloaded)}
        function.environment = sam.CfnFunction.FunctionEnvironmentProperty(variables=variables)
        self.cache.give(function, outward=True)

    def _machine_arn(self, name: str) -> str:
        return self.format_arn(
            service="states",
            resource="stateMachine",
            resource_name=name,
            arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
        )

    def _tools_arn(self) -> str:
        return self.format_arn(
            service="lambda",
            resource="function",
            resource_name="agentic-tool-*",
            arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
        )


class StatusStack(ServiceStack):
    """Pushes updates through its own WebSocket API, which the shared authorizer guards."""

    service = "status"

    def extend(self) -> None:
        open_sockets(self, "socket", "consume", "sweep")
        self.every_minute("EndOverdue", "sweep")


class GraphqlStack(ServiceStack):
    """Its own read model of everything, projected from the bus, and its own sockets: a client says
    who they are in its first message, and the authorizer is asked about that."""

    service = "graphql"

    def variables(self) -> dict[str, str]:
        return super().variables() | {"AUTHORIZER": self.stage.authorizer}

    def extend(self) -> None:
        address = open_sockets(self, "socket", "consume", "sweep", guarded=False)
        self.rest_api.set_variable("SOCKET_URL", address)
        self.every_minute("EndOverdue", "sweep")
        authorizer = self.format_arn(
            service="lambda",
            resource="function",
            resource_name=self.stage.authorizer,
            arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
        )
        self.grant("lambda:InvokeFunction", on=[authorizer])


SERVICE_STACKS = {
    stack.service: stack
    for stack in (AuthStack, AgentsStack, TasksStack, EventsStack, StatusStack, GraphqlStack)
}
