"""The status service: consumers, the socket and routes, each a few lines around one use case."""

import os
from functools import cache
from typing import Any

from chalicelib.status.models import AgentState, Updates, UpdatesQuery
from chalicelib.status.pushes import AGENTS_OF
from chalicelib.status.repository import StatusRepository
from chalicelib.status.use_cases import connections, messages, updates
from common import metrics
from common.clock import milliseconds_since
from common.consumers import Afterwards, Consumers
from common.errors import QuotaExceeded, Unauthenticated
from common.events.auth import AccessRevokedV1
from common.events.base import Event
from common.events.tasks import TextGeneratedV1
from common.handshakes import accepted
from common.http import ServiceApp
from common.principals import Principal
from common.revocations import Revocation
from common.service import table
from common.sockets import Sockets

PROTOCOL = "agentic.v1"
"""The subprotocol that browsers name beside the one with their token."""

app = ServiceApp("status")
consumers = Consumers()
consume = consumers.lambda_function(app)


@cache
def status() -> StatusRepository:
    return StatusRepository(table())


@cache
def sockets() -> Sockets:
    return Sockets.at(os.environ["WEBSOCKET_ENDPOINT"])


@app.lambda_function(name="socket")
def socket(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """All routes of the WebSocket API. Answers are posted: of what is returned a client sees
    nothing but the status of a handshake that was refused."""
    context = event["requestContext"]
    connection_id = context["connectionId"]
    match context["routeKey"]:
        case "$connect":
            principal = Principal.from_authorizer(context.get("authorizer"))
            try:
                connections.connect(status(), connection_id, principal)
            except (QuotaExceeded, Unauthenticated) as refused:
                return {"statusCode": refused.status}
            return accepted(event, PROTOCOL)
        case "$disconnect":
            status().remove_connection(connection_id)
        case _:
            body, request_id = event.get("body") or "", context["requestId"]
            messages.receive(status(), sockets(), connection_id, body, request_id)
    return {"statusCode": 200}


@app.operation("GET", "/agents/{agent_id}/status", "agents:read")
def get_status(user: Principal, agent_id: str) -> AgentState:
    return updates.load_owned(status(), user, agent_id)


@app.operation("GET", "/agents/{agent_id}/updates", "agents:read")
def list_updates(user: Principal, agent_id: str, query: UpdatesQuery) -> Updates:
    """What the socket pushed, from one update on."""
    state = updates.load_owned(status(), user, agent_id)
    return updates.page(status(), state, query.after, query.limit)


def on_event_of_agents(event: Event) -> Afterwards:
    recorded = updates.record(status(), AGENTS_OF[type(event)](event), event)

    def push() -> None:
        updates.push(status(), sockets(), recorded)
        metrics.measure("PushLatency", milliseconds_since(event.timestamp), "Milliseconds")

    return push


for kind in AGENTS_OF:
    consumers.together(kind, on_event_of_agents)


@consumers.on(TextGeneratedV1)
def on_text_generated(event: TextGeneratedV1) -> None:
    updates.pass_on(status(), sockets(), event)


@consumers.on(AccessRevokedV1)
def on_access_revoked(event: AccessRevokedV1) -> None:
    revocation = Revocation(credential_id=event.credential_id, session_id=event.session_id)
    connections.end_access(status(), sockets(), revocation, event)


@app.lambda_function(name="sweep")
def sweep(_event: object, _context: object) -> dict[str, int]:
    return {"ended": connections.end_overdue(status(), sockets())}
