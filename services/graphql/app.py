"""The graphql service: its route, its sockets, and the consumers that keep the read model."""

import logging
import os
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import boto3
from chalicelib.graphql import explorer
from chalicelib.graphql.authorizer import Authorizer
from chalicelib.graphql.models.agents import Agent
from chalicelib.graphql.models.approvals import Approval
from chalicelib.graphql.models.requests import GraphQLAnswer, GraphQLRequest
from chalicelib.graphql.models.schedules import Schedule
from chalicelib.graphql.models.sockets import PROTOCOL, Update
from chalicelib.graphql.models.tasks import Task
from chalicelib.graphql.repository.approvals import ApprovalRepository
from chalicelib.graphql.repository.connections import ConnectionRepository
from chalicelib.graphql.repository.objects import (
    AgentRepository,
    TaskRepository,
    keys_of_agent,
    keys_of_task,
)
from chalicelib.graphql.repository.requests import RequestRepository
from chalicelib.graphql.repository.schedules import ScheduleRepository
from chalicelib.graphql.repository.updates import UpdateRepository
from chalicelib.graphql.use_cases import connections, events, messages, pushes
from chalicelib.graphql.use_cases.mutations import Mutations, note_effect, note_refusal
from common.actions import Key
from common.consumers import Afterwards, Consumers
from common.dynamo import AlreadyHandled
from common.errors import Unauthenticated
from common.events.agents import (
    AgentCreatedV1,
    AgentDeletedV1,
    AgentStatusChangedV1,
    AgentUpdatedV1,
)
from common.events.approvals import ApprovalDecidedV1, ApprovalRequestedV1, ApprovalVoidedV1
from common.events.auth import AccessRevokedV1
from common.events.base import Event
from common.events.requests import RequestRejectedV1
from common.events.schedules import ScheduleChangedV1, ScheduledTaskV1
from common.events.tasks import (
    TaskCancelledV1,
    TaskCompletedV1,
    TaskCreatedV1,
    TaskFailedV1,
    TaskProgressV1,
    TaskRetriedV1,
    TaskStartedV1,
)
from common.handshakes import accepted, names_a_credential
from common.http import ServiceApp
from common.outbox import relay
from common.principals import Principal
from common.revocations import Revocation
from common.service import cursors, outbox_relay, table
from common.sockets import Sockets

if TYPE_CHECKING:
    from chalicelib.graphql.context import Context
    from chalicelib.graphql.subscriptions import Language

log = logging.getLogger(__name__)
app = ServiceApp("graphql")
relay_outbox = relay(app, outbox_relay)
consumers = Consumers()
consume = consumers.lambda_function(app)


@cache
def model() -> events.ReadModel:
    return events.ReadModel(
        AgentRepository(table()),
        TaskRepository(table()),
        ApprovalRepository(table()),
        ScheduleRepository(table()),
        UpdateRepository(table()),
    )


@cache
def sockets() -> Sockets:
    return Sockets.at(os.environ["WEBSOCKET_ENDPOINT"])


@cache
def authorizer() -> Authorizer:
    return Authorizer(boto3.client("lambda"), os.environ["AUTHORIZER"])


@cache
def requests() -> RequestRepository:
    return RequestRepository(table())


def context_of(request_id: str, key: str | None = None) -> "Callable[[Principal], Context]":
    """Ariadne is imported where somebody asks in GraphQL: the consumers mostly do without it."""
    from chalicelib.graphql.context import Context

    patience = float(os.environ.get("MUTATION_PATIENCE_SECONDS", "8"))

    def context(user: Principal) -> Context:
        mutations = Mutations(requests(), user, key, patience)
        return Context(user, model(), cursors(), request_id, mutations)

    return context


def desk(request_id: str = "", request: dict[str, Any] | None = None) -> messages.Desk:
    def authenticate(credential: str) -> Principal:
        headers = {"multiValueHeaders": {"Authorization": [credential]}}
        return authorizer().principal(headers | (request or {}))

    def language() -> "Language":
        from chalicelib.graphql.subscriptions import Language

        return Language(context_of(request_id))

    return messages.Desk(ConnectionRepository(table()), model(), sockets(), authenticate, language)


@app.operation("POST", "/graphql")
def graphql(user: Principal, body: GraphQLRequest, idempotency_key: str | None) -> GraphQLAnswer:
    """Any caller may ask; the schema's fields say what for."""
    from chalicelib.graphql import execution

    request_id = app.request.context.get("requestId", "")
    answer = execution.execute(body, context_of(request_id, idempotency_key)(user))
    return cast(GraphQLAnswer, answer)


@app.public("GET", "/graphql", headers=explorer.HEADERS)
def explore() -> str:
    """GraphiQL, for people: a page to write queries in."""
    return explorer.page(os.environ["SOCKET_URL"])


@app.lambda_function(name="socket")
def socket(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """All routes of the WebSocket API. Answers are posted: of what is returned a client sees
    nothing but the status of a handshake that was refused, and the protocol that is spoken."""
    context = event["requestContext"]
    connection_id, request_id = context["connectionId"], context["requestId"]
    match context["routeKey"]:
        case "$connect":
            return connect(connection_id, event)
        case "$disconnect":
            connections.forget(ConnectionRepository(table()), model().updates, connection_id)
        case _:
            asked = {"requestContext": context}
            messages.receive(desk(request_id, asked), connection_id, event.get("body") or "")
    return {"statusCode": 200}


def connect(connection_id: str, event: dict[str, Any]) -> dict[str, Any]:
    """Anybody may; who names a credential already now must be known by it."""
    answer = accepted(event, PROTOCOL)
    if "headers" not in answer:
        return {"statusCode": 400}
    try:
        principal = authorizer().principal(event) if names_a_credential(event) else None
    except Unauthenticated as refused:
        return {"statusCode": refused.status}
    connections.connect(ConnectionRepository(table()), connection_id, principal)
    return answer


@app.lambda_function(name="sweep")
def sweep(_event: object, _context: object) -> dict[str, int]:
    ended = connections.end_overdue(ConnectionRepository(table()), model().updates, sockets())
    return {"ended": ended}


CHANGES_OF_AGENTS: dict[type[Event], Callable[[Agent, Any], Agent]] = {
    AgentCreatedV1: Agent.created,
    AgentUpdatedV1: Agent.updated,
    AgentStatusChangedV1: Agent.status_changed,
    AgentDeletedV1: Agent.removed,
}
CHANGES_OF_TASKS: dict[type[Event], Callable[[Task, Any], Task]] = {
    TaskCreatedV1: Task.created,
    TaskStartedV1: Task.started,
    TaskProgressV1: Task.progressed,
    TaskCompletedV1: Task.completed,
    TaskFailedV1: Task.failed,
    TaskCancelledV1: Task.cancelled,
    TaskRetriedV1: Task.retried,
}
CHANGES_OF_APPROVALS: dict[type[Event], Callable[[Approval, Any], Approval]] = {
    ApprovalRequestedV1: Approval.requested,
    ApprovalDecidedV1: Approval.decided,
    ApprovalVoidedV1: Approval.voided,
}
CHANGES_OF_SCHEDULES: dict[type[Event], Callable[[Schedule, Any], Schedule]] = {
    ScheduleChangedV1: Schedule.changed,
    ScheduledTaskV1: Schedule.ran,
}
EFFECTS: dict[type[Event], str] = {
    AgentCreatedV1: "agent_id",
    AgentUpdatedV1: "agent_id",
    AgentDeletedV1: "agent_id",
    TaskCreatedV1: "task_id",
    TaskCancelledV1: "task_id",
    ApprovalDecidedV1: "approval_id",
}
"""What mutations lead to, and the id of what was changed."""


@consumers.reads
def keys_of(event: Event) -> Sequence[Key]:
    if type(event) in CHANGES_OF_AGENTS:
        return keys_of_agent(event.aggregate_id)
    if type(event) in CHANGES_OF_TASKS:
        return keys_of_task(event.aggregate_id, cast(TaskStartedV1, event).agent_id)
    return ()


def on_event_of_agent(event: Event) -> Afterwards:
    change = CHANGES_OF_AGENTS[type(event)]
    return followed(event, lambda: events.follow_agent(model(), event, change))


def on_event_of_task(event: Any) -> Afterwards:
    change = CHANGES_OF_TASKS[type(event)]
    return followed(event, lambda: events.follow_task(model(), event.agent_id, event, change))


def on_event_of_approval(event: Any) -> Afterwards:
    change = CHANGES_OF_APPROVALS[type(event)]
    return followed(event, lambda: events.follow_approval(model(), event, change))


def on_event_of_schedule(event: Event) -> Afterwards:
    change = CHANGES_OF_SCHEDULES[type(event)]
    return followed(event, lambda: events.follow_schedule(model(), event, change))


def followed(event: Event, follow: Callable[[], Update | None]) -> Afterwards:
    """Whether the event is new or has been followed before: whoever asked for it waits."""
    try:
        update = follow()
    except AlreadyHandled:
        log.info("changes nothing", extra={"eventId": event.event_id})
        update = None

    def tell() -> None:
        if update:
            pushes.push(desk(), update)
        if named := EFFECTS.get(type(event)):
            note_effect(requests(), event, getattr(event, named))
        if isinstance(event, AgentDeletedV1):
            pushes.complete_all(desk(), event.agent_id)

    return tell


for of_agent in CHANGES_OF_AGENTS:
    consumers.together(of_agent, on_event_of_agent)
for of_task in CHANGES_OF_TASKS:
    consumers.together(of_task, on_event_of_task)
for of_approval in CHANGES_OF_APPROVALS:
    consumers.together(of_approval, on_event_of_approval)
for of_schedule in CHANGES_OF_SCHEDULES:
    consumers.together(of_schedule, on_event_of_schedule)


@consumers.on(AccessRevokedV1)
def on_access_revoked(event: AccessRevokedV1) -> None:
    revocation = Revocation(credential_id=event.credential_id, session_id=event.session_id)
    known = ConnectionRepository(table())
    connections.end_access(known, model().updates, sockets(), revocation, event)


@consumers.on(RequestRejectedV1)
def on_request_rejected(event: RequestRejectedV1) -> None:
    note_refusal(requests(), event)
