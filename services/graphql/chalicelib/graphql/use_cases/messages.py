"""What clients say on their sockets is answered, whatever it is."""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chalicelib.graphql.models.sockets import (
    Asked,
    Closed,
    Complete,
    Connection,
    ConnectionInit,
    Operation,
    Ping,
    Pong,
    Subscribe,
    Update,
    parse_message,
)
from chalicelib.graphql.repository.connections import ConnectionRepository, end_of
from chalicelib.graphql.use_cases.connections import acknowledge, end
from chalicelib.graphql.use_cases.events import ReadModel
from chalicelib.graphql.use_cases.objects import owned, require_id
from common.errors import AppError, Conflict, Invalid, NotFound, QuotaExceeded
from common.principals import Principal
from common.quotas import DEFAULT_QUOTAS, Quota
from common.sockets import Frame, Sockets

if TYPE_CHECKING:
    from chalicelib.graphql.subscriptions import Language

SUBSCRIPTIONS = Quota("subscriptions", 100)
"""Of one connection: whoever watches more opens another."""
MAX_REPLAYED = 1000
PATIENCE_SECONDS = 2.0
POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Desk:
    """All that it takes to serve a socket; `authenticate` tells who named a credential."""

    connections: ConnectionRepository
    model: ReadModel
    sockets: Sockets
    authenticate: Callable[[str], Principal]
    language: Callable[[], "Language"]

    def end(self, connection_id: str) -> None:
        end(self.connections, self.model.updates, self.sockets, connection_id)


class UpdatesExpired(Conflict):
    """What came after the cursor is not to be had any more: read, and subscribe without one."""


def receive(desk: Desk, connection_id: str, body: str) -> None:
    try:
        for frame in _answers(desk, connection_id, body):
            if not desk.sockets.post(connection_id, frame):
                desk.end(connection_id)
                return
    except Closed as closed:
        _close(desk, connection_id, closed)


def _close(desk: Desk, connection_id: str, closed: Closed) -> None:
    """Whoever was never let in is told so in place of the acknowledgement, which no client takes
    for a reason to come back at once, as most do when they are hung up on. They hang up
    themselves, or are overdue soon."""
    reason = {"code": closed.close_code, "reason": closed.message}
    desk.sockets.post(connection_id, {"type": "ping", "payload": reason})
    known = desk.connections.get(connection_id)
    if known and not known.acknowledged and closed.close_code in (4401, 4403):
        error = {"message": closed.message, "extensions": reason}
        frame: Frame = {"type": "error", "id": "connection_init", "payload": [error]}
        desk.sockets.post(connection_id, frame)
    else:
        desk.end(connection_id)


def _answers(desk: Desk, connection_id: str, body: str) -> Iterator[Frame]:
    connection = desk.connections.get(connection_id)
    if connection is None:
        raise Closed(4401, "Unauthorized")
    _count(desk, connection)
    message = parse_message(body)
    match message:
        case ConnectionInit():
            acknowledge(desk.connections, connection, _credential(desk, message.payload or {}))
            yield {"type": "connection_ack"}
        case Ping():
            yield {"type": "pong"}
        case Pong():
            pass
        case _ if not connection.acknowledged:
            raise Closed(4401, "Unauthorized")
        case Subscribe():
            yield from _subscribe(desk, connection, message)
        case Complete():
            _complete(desk, connection_id, message.id)


def _credential(desk: Desk, payload: dict[str, Any]) -> Callable[[], Principal] | None:
    """As a header would have it, under the names that clients use; None if there is none."""
    told = {name.lower(): value for name, value in payload.items() if isinstance(value, str)}
    named = [
        *(told[name] for name in ("authorization",) if name in told),
        *(f"Bearer {told[name]}" for name in ("token", "accesstoken") if name in told),
        *(f"ApiKey {told[name]}" for name in ("apikey", "x-api-key") if name in told),
    ]
    if not named:
        return None
    return lambda: desk.authenticate(named[0] if len(named) == 1 else "")


def _count(desk: Desk, connection: Connection) -> None:
    """Messages have the quota of requests; who is not known yet has that of anybody."""
    user = connection.principal
    most = (user.quotas if user else DEFAULT_QUOTAS).requests_per_minute
    holder = f"USER#{user.user_id}" if user else f"CONNECTION#{connection.connection_id}"
    if desk.connections.count_message(holder) > most:
        raise Closed(4429, f"More than {most} messages in 60 s")


def _subscribe(desk: Desk, connection: Connection, message: Subscribe) -> Iterator[Frame]:
    language, id, principal = desk.language(), message.id, connection.principal
    assert principal, "it was acknowledged"
    known = desk.model.updates.operations_of(connection.connection_id)
    if id in [operation_id for operation_id, _ in known]:
        raise Closed(4409, f"Subscriber for {id} already exists")
    try:
        asked = language.asked(message.payload)
        if asked is None:
            yield from _executed(language.execute(message.payload, principal), id)
            return
        if len(known) >= SUBSCRIPTIONS.limit:
            raise QuotaExceeded(SUBSCRIPTIONS)
        yield from _stored(desk, connection, principal, message, asked)
    except Closed:
        raise
    except AppError as error:
        yield {"id": id, "type": "error", "payload": language.errors_of(error, principal)}


def _executed(answer: dict[str, Any], id: str) -> Iterator[Frame]:
    if "data" in answer:
        yield {"id": id, "type": "next", "payload": answer}
        yield {"id": id, "type": "complete"}
    else:
        yield {"id": id, "type": "error", "payload": answer["errors"]}


def _stored(
    desk: Desk,
    connection: Connection,
    principal: Principal,
    message: Subscribe,
    asked: Asked,
) -> Iterator[Frame]:
    """First the subscription, then the reads: an update that commits in between is pushed."""
    principal.require(asked.scope)
    agent_id, task_id = asked.arguments["agent_id"], asked.arguments.get("task_id")
    for id in filter(None, (agent_id, task_id)):
        require_id(id)
    operation = Operation(
        connection_id=connection.connection_id,
        id=message.id,
        principal=principal,
        agent_id=agent_id,
        task_id=task_id,
        field=asked.field,
        request=message.payload,
    )
    _require_owned(desk, operation)
    try:
        latest = desk.model.updates.add(operation, ttl=end_of(connection))
    except Conflict as known:
        raise Closed(4409, f"Subscriber for {message.id} already exists") from known
    try:
        missed = _missed(desk, operation, asked.arguments.get("after"), latest)
    except AppError:
        desk.model.updates.remove(operation.connection_id, operation.id, operation.agent_id)
        raise
    for update in missed:
        payload = desk.language().answer_to(operation, update)
        yield {"id": operation.id, "type": "next", "payload": payload}


def _require_owned(desk: Desk, operation: Operation) -> None:
    """What was created a moment ago may not have been heard of yet: it gets a little time."""
    agents, tasks = desk.model.agents, desk.model.tasks
    _await(lambda: owned(operation.principal, agents.find(operation.agent_id)), "agent")
    if task_id := operation.task_id:
        task = _await(lambda: owned(operation.principal, tasks.find(task_id)), "task")
        if task.agent_id != operation.agent_id:
            raise NotFound("The agent has no such task")


def _await(find: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (found := find()) is None and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    if found is None:
        raise NotFound(f"There is no such {what}")
    return found


def _missed(desk: Desk, operation: Operation, after: str | None, latest: int) -> list[Update]:
    if after is None:
        return []
    if not re.fullmatch(r"[0-9]{1,12}", after):
        raise Invalid("after must be a cursor that was sent", field="after")
    seq, agent_id = int(after), operation.agent_id
    found = desk.model.updates.after(agent_id, seq, MAX_REPLAYED + 1)
    first = found[0].seq if found else latest + 1
    if seq > latest:
        raise Invalid("after must be a cursor that was sent", field="after")
    if first > seq + 1 or len(found) > MAX_REPLAYED:
        raise UpdatesExpired("Not all that came after this cursor is to be had any more")
    return [update for update in found if operation.concerns(update)]


def _complete(desk: Desk, connection_id: str, operation_id: str) -> None:
    for id, agent_id in desk.model.updates.operations_of(connection_id):
        if id == operation_id:
            desk.model.updates.remove(connection_id, id, agent_id)
