"""What the status service does: number every update of an agent, and push it to who watches."""

import time
from collections.abc import Iterable, Iterator

from chalicelib.status.models import (
    ACTIONS,
    AgentNotFound,
    AgentState,
    Connection,
    News,
    Ping,
    Replay,
    Revocation,
    Subscribe,
    Unsubscribe,
    Update,
    parse_message,
)
from chalicelib.status.repository import StatusRepository
from common.clock import timestamp
from common.dynamo import AlreadyHandled, retry_conflicts
from common.errors import AppError, QuotaExceeded, Unauthenticated, Unavailable, envelope
from common.events.base import Event
from common.principals import Principal
from common.sockets import Frame, Sockets

PATIENCE_SECONDS = 2.0
POLL_SECONDS = 0.05
MAX_REPLAYED = 1000
"""What one invocation can send in its time; older updates are to be had page by page over HTTP."""


def load_owned(status: StatusRepository, principal: Principal, agent_id: str) -> AgentState:
    """The one owner check of this service: 404 for a missing agent, 403 for another user's.

    An agent created a moment ago may not have been heard of yet: it gets a little time.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (state := status.agent(agent_id)) is None and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    if state is None or state.deleted:
        raise AgentNotFound(agent_id)
    principal.require_owner(state.user_id, f"Agent {agent_id}")
    return state


def record(
    status: StatusRepository, sockets: Sockets, agent_ids: Iterable[str], cause: Event
) -> None:
    """Every agent that the event is about gets it as its next update. A crash after the commit
    must not lose the push: an event that comes again is pushed again, and clients drop what they
    have by its `seq`."""
    agents = list(dict.fromkeys(agent_ids))

    def attempt() -> list[News]:
        now = timestamp()
        news = [News.of(cause, _known(status, each, cause, now), now) for each in agents]
        status.append(news, cause)
        return news

    try:
        pushed = [(each.state, each.update) for each in retry_conflicts(attempt)]
    except AlreadyHandled:
        pushed = _recorded(status, agents, cause)
        if not pushed:
            raise
    for state, update in pushed:
        push(status, sockets, state, update)


def _known(status: StatusRepository, agent_id: str, cause: Event, now: str) -> AgentState:
    """Of an agent that was never heard of, all that is known is whose it is."""
    return status.agent(agent_id) or AgentState(
        agent_id=agent_id, user_id=cause.user_id, updated_at=now
    )


def _recorded(
    status: StatusRepository, agent_ids: Iterable[str], cause: Event
) -> list[tuple[AgentState, Update]]:
    found = ((status.agent(each), status.update_for(each, cause.event_id)) for each in agent_ids)
    return [(state, update) for state, update in found if state and update]


def push(status: StatusRepository, sockets: Sockets, state: AgentState, update: Update) -> None:
    """To be called after the commit: who subscribes later finds the update in the table."""
    subscribers = status.subscribers(state.agent_id)
    watching = [
        subscription.connection_id
        for subscription in subscribers
        if subscription.is_live and subscription.user_id == state.user_id
    ]
    lost = sockets.post_to_all(watching, update.frame())
    over = [each.connection_id for each in subscribers if not each.is_live]
    for connection_id in (*lost, *over):
        end(status, sockets, connection_id)


def replay(
    status: StatusRepository, state: AgentState, after: int, limit: int | None = None
) -> Replay:
    """The updates after one: the first `limit` of them, or the newest MAX_REPLAYED."""
    start = after if limit else max(after, state.seq - MAX_REPLAYED)
    items = status.updates(state.agent_id, start, state.seq, limit)
    first = items[0].seq if items else state.seq + 1
    return Replay(items, (after + 1, first - 1) if first > after + 1 else None)


def end(status: StatusRepository, sockets: Sockets, connection_id: str) -> bool:
    """False when it is still open, and then still known."""
    if not sockets.close(connection_id):
        return False
    status.remove_connection(connection_id)
    return True


def end_access(
    status: StatusRepository, sockets: Sockets, revocation: Revocation, cause: Event
) -> None:
    """Ends the open connections. Those that are being opened end at `connect`; an event that comes
    again finds what a crash left open."""
    try:
        status.add_revocation(cause.user_id, revocation, cause)
    finally:
        left = [
            connection.connection_id
            for connection in status.connections_of(cause.user_id)
            if revocation.concerns(connection.principal)
            and not end(status, sockets, connection.connection_id)
        ]
    if left:
        raise Unavailable(f"{len(left)} connections are still open")


def connect(status: StatusRepository, connection_id: str, principal: Principal) -> None:
    """Raises Unauthenticated or QuotaExceeded. Counts what is there instead of keeping a count:
    $disconnect may never come, and then only time ends a connection."""

    def attempt() -> None:
        ever = status.connections_ever(principal.user_id)  # first: what comes after is noticed
        if len(status.connections_of(principal.user_id)) >= principal.quotas.sockets:
            raise QuotaExceeded(principal.quotas.quota("sockets"))
        connection = Connection(
            connection_id=connection_id, principal=principal, connected_at=timestamp()
        )
        status.add_connection(connection, ever)

    retry_conflicts(attempt)
    known = status.revocations_of(principal.user_id)  # last: nothing can fall in between
    if any(revocation.refuses(principal) for revocation in known):
        status.remove_connection(connection_id)
        raise Unauthenticated()


def receive(
    status: StatusRepository, sockets: Sockets, connection_id: str, body: str, request_id: str
) -> None:
    """Answers a client's message, whatever it is, on the connection that it came from; which ends
    if the credential that opened it has."""
    is_over = False
    try:
        frames = list(_answers(status, connection_id, body))
    except AppError as error:
        is_over = isinstance(error, Unauthenticated)
        problem = envelope(error.code, error.message, error.details, request_id, timestamp())
        frames = [{"type": "error"} | problem]
    for frame in frames:
        if not sockets.post(connection_id, frame):
            is_over = True
            break
    if is_over:
        end(status, sockets, connection_id)


def _answers(status: StatusRepository, connection_id: str, body: str) -> Iterator[Frame]:
    message = parse_message(body)
    connection = status.connection(connection_id)
    if connection is None:
        raise Unauthenticated()
    if scope := ACTIONS[message.action].scope:
        connection.principal.require(scope)
    match message:
        case Subscribe():
            yield from _subscribe(status, connection, message)
        case Unsubscribe():
            status.unsubscribe(connection_id, message.agent_id)
            yield {"type": "unsubscribed", "agentId": message.agent_id}
        case Ping():
            yield {"type": "pong"}


def _subscribe(
    status: StatusRepository, connection: Connection, message: Subscribe
) -> Iterator[Frame]:
    """First the subscription, then the reads: an update that commits in between is pushed."""
    agent_id = message.agent_id
    status.subscribe(connection, agent_id)
    try:
        state = load_owned(status, connection.principal, agent_id)
    except AppError:
        status.unsubscribe(connection.connection_id, agent_id)
        raise
    yield {"type": "subscribed", "agentId": agent_id, "seq": state.seq, "status": state.status}
    if message.after is not None:
        found = replay(status, state, message.after)
        if found.gap:
            start, end = found.gap
            yield {"type": "gap", "agentId": agent_id, "from": start, "to": end}
        yield from (update.frame() for update in found.items)
