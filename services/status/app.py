"""The status service: consumers, the socket and routes, each a few lines around one use case."""

import os
import re
from functools import cache
from typing import Any

from chalice.app import Response
from chalicelib.status import use_cases
from chalicelib.status.models import Revocation
from chalicelib.status.pushes import AGENTS_OF
from chalicelib.status.repository import StatusRepository
from common.consumers import Consumers
from common.errors import Invalid, QuotaExceeded, Unauthenticated
from common.events.auth import AccessRevokedV1
from common.events.base import Event
from common.handshakes import accepted
from common.http import ServiceApp
from common.principals import Principal
from common.requests import limit, query
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
                use_cases.connect(status(), connection_id, principal)
            except (QuotaExceeded, Unauthenticated) as refused:
                return {"statusCode": refused.status}
            return accepted(event, PROTOCOL)
        case "$disconnect":
            status().remove_connection(connection_id)
        case _:
            body, request_id = event.get("body") or "", context["requestId"]
            use_cases.receive(status(), sockets(), connection_id, body, request_id)
    return {"statusCode": 200}


@app.operation("GET", "/agents/{agent_id}/status", "agents:read")
def get_status(user: Principal, agent_id: str) -> Response:
    state = use_cases.load_owned(status(), user, agent_id)
    shown = state.model_dump(by_alias=True, include={"agent_id", "status", "seq", "updated_at"})
    return Response(shown)


@app.operation("GET", "/agents/{agent_id}/updates", "agents:read")
def list_updates(user: Principal, agent_id: str) -> Response:
    params = query(app.request, "after", "limit")
    after, most = _after(params.get("after", "0")), limit(params, default=100)
    state = use_cases.load_owned(status(), user, agent_id)
    found = use_cases.replay(status(), state, after, most)
    items = [update.wire() for update in found.items]
    return Response({"items": items, "seq": state.seq, "gap": found.gap is not None})


def on_event_of_agents(event: Event) -> None:
    use_cases.record(status(), sockets(), AGENTS_OF[type(event)](event), event)


for kind in AGENTS_OF:
    consumers.on(kind)(on_event_of_agents)


@consumers.on(AccessRevokedV1)
def on_access_revoked(event: AccessRevokedV1) -> None:
    revocation = Revocation(credential_id=event.credential_id, session_id=event.session_id)
    use_cases.end_access(status(), sockets(), revocation, event)


def _after(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,12}", text):
        raise Invalid("after must be the seq of an update", field="after")
    return int(text)
