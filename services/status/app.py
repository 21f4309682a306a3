"""The status service: consumers, the socket and routes, each a few lines around one use case."""

import os
import re
from functools import cache
from typing import Any
from urllib.parse import urljoin

from chalice.app import Response
from chalicelib.status import use_cases
from chalicelib.status.connections import Sockets
from chalicelib.status.models import Revocation
from chalicelib.status.repository import StatusRepository
from common.consumers import Consumers
from common.errors import Invalid, QuotaExceeded, Unauthenticated
from common.events.agents import AgentCreatedV1, AgentDeletedV1, AgentStatusChangedV1
from common.events.auth import AccessRevokedV1
from common.events.tasks import (
    TaskCancelledV1,
    TaskCompletedV1,
    TaskCreatedV1,
    TaskFailedV1,
    TaskProgressV1,
    TaskStartedV1,
)
from common.http import ServiceApp
from common.principals import Principal
from common.requests import limit, query
from common.service import table

app = ServiceApp("status")
consumers = Consumers()
consume = consumers.lambda_function(app)


@cache
def status() -> StatusRepository:
    return StatusRepository(table())


@cache
def sockets() -> Sockets:
    """On AWS the endpoint is a URL; on the emulator a path below the one AWS endpoint."""
    base = os.environ.get("AWS_ENDPOINT_URL", "")
    return Sockets.at(urljoin(base, os.environ["WEBSOCKET_ENDPOINT"]))


@app.lambda_function(name="socket")
def socket(event: dict[str, Any], _context: object) -> dict[str, int]:
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


@consumers.on(AgentCreatedV1)
def on_agent_created(event: AgentCreatedV1) -> None:
    use_cases.record_update(status(), sockets(), event.agent_id, event)


@consumers.on(AgentDeletedV1)
def on_agent_deleted(event: AgentDeletedV1) -> None:
    use_cases.record_update(status(), sockets(), event.agent_id, event)


@consumers.on(AgentStatusChangedV1)
def on_agent_status_changed(event: AgentStatusChangedV1) -> None:
    use_cases.record_update(status(), sockets(), event.agent_id, event)


@consumers.on(TaskCreatedV1)
def on_task_created(event: TaskCreatedV1) -> None:
    use_cases.record_update(status(), sockets(), event.agent_id, event)


@consumers.on(TaskStartedV1)
def on_task_started(event: TaskStartedV1) -> None:
    use_cases.record_update(status(), sockets(), event.agent_id, event)


@consumers.on(TaskProgressV1)
def on_task_progress(event: TaskProgressV1) -> None:
    use_cases.record_update(status(), sockets(), event.agent_id, event)


@consumers.on(TaskCompletedV1)
def on_task_completed(event: TaskCompletedV1) -> None:
    use_cases.record_update(status(), sockets(), event.agent_id, event)


@consumers.on(TaskFailedV1)
def on_task_failed(event: TaskFailedV1) -> None:
    use_cases.record_update(status(), sockets(), event.agent_id, event)


@consumers.on(TaskCancelledV1)
def on_task_cancelled(event: TaskCancelledV1) -> None:
    use_cases.record_update(status(), sockets(), event.agent_id, event)


@consumers.on(AccessRevokedV1)
def on_access_revoked(event: AccessRevokedV1) -> None:
    revocation = Revocation(credential_id=event.credential_id, session_id=event.session_id)
    use_cases.end_access(status(), sockets(), revocation, event)


def _after(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,12}", text):
        raise Invalid("after must be the seq of an update", field="after")
    return int(text)
