"""The agents service: routes and consumers, each a few lines around one use case."""

from functools import cache, partial
from typing import Any

from chalicelib.agents import use_cases
from chalicelib.agents.models import Agent, CreateAgentRequest, TaskState, UpdateAgentRequest
from chalicelib.agents.repository import AgentRepository
from common.consumers import Consumers
from common.events.approvals import ApprovalDecidedV1, ApprovalRequestedV1
from common.events.base import Event
from common.events.requests import (
    AgentCreationRequestedV1,
    AgentDeletionRequestedV1,
    AgentUpdateRequestedV1,
)
from common.events.tasks import (
    TaskCancelledV1,
    TaskCompletedV1,
    TaskCreatedV1,
    TaskFailedV1,
    TaskRetriedV1,
)
from common.http import ServiceApp
from common.idempotency import Once
from common.outbox import relay
from common.paging import Page, page
from common.principals import Principal
from common.queries import Paging, Reading
from common.requested import carry_out, validated
from common.service import outbox_relay, shared_cache, table

app = ServiceApp("agents")
relay_outbox = relay(app, outbox_relay)
consumers = Consumers()
consume = consumers.lambda_function(app)


@cache
def agents() -> AgentRepository:
    return AgentRepository(table(), shared_cache())


@app.operation("POST", "/agents", "agents:write", status=201)
def create_agent(user: Principal, body: CreateAgentRequest, once: Once | None) -> Agent:
    return use_cases.create_agent(agents(), user, body, once)


@app.operation("GET", "/agents", "agents:read")
def list_agents(user: Principal, query: Paging) -> Page[Agent]:
    """Newest first."""
    return page(user, query, "agents", partial(agents().list_for_user, user.user_id))


@app.operation("GET", "/agents/{agent_id}", "agents:read")
def get_agent(user: Principal, agent_id: str, query: Reading) -> Agent:
    return use_cases.load_owned(agents(), user, agent_id, not query.consistent)


@app.operation("PUT", "/agents/{agent_id}", "agents:write")
def update_agent(
    user: Principal, agent_id: str, body: UpdateAgentRequest, if_match: str | None
) -> Agent:
    return use_cases.update_agent(agents(), user, agent_id, body, if_match)


@app.operation("DELETE", "/agents/{agent_id}", "agents:write")
def delete_agent(user: Principal, agent_id: str, if_match: str | None) -> None:
    use_cases.delete_agent(agents(), user, agent_id, if_match)


@consumers.on(AgentCreationRequestedV1)
def on_creation_requested(event: AgentCreationRequestedV1) -> None:
    def create(user: Principal) -> object:
        wanted = validated(CreateAgentRequest, event.input)
        return use_cases.create_agent(agents(), user, wanted, once=None)

    carry_out(table(), event, "agents:write", create)


@consumers.on(AgentUpdateRequestedV1)
def on_update_requested(event: AgentUpdateRequestedV1) -> None:
    def update(user: Principal) -> object:
        changes = validated(UpdateAgentRequest, event.input)
        return use_cases.update_agent(agents(), user, event.agent_id, changes, if_match=None)

    carry_out(table(), event, "agents:write", update)


@consumers.on(AgentDeletionRequestedV1)
def on_deletion_requested(event: AgentDeletionRequestedV1) -> None:
    def delete(user: Principal) -> None:
        use_cases.delete_agent(agents(), user, event.agent_id, if_match=None)

    carry_out(table(), event, "agents:write", delete)


STATES: dict[type[Event], TaskState] = {
    TaskCreatedV1: "active",
    TaskRetriedV1: "active",
    ApprovalRequestedV1: "waiting",
    ApprovalDecidedV1: "active",
    TaskCompletedV1: "completed",
    TaskFailedV1: "failed",
    TaskCancelledV1: "cancelled",
}
"""What each event of a task says of its state."""


def on_task_event(event: Any) -> None:
    use_cases.record_task(agents(), event.agent_id, event, STATES[type(event)])


for told in STATES:
    consumers.on(told)(on_task_event)
