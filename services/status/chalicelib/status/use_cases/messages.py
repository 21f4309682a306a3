"""What clients say on their sockets is answered, whatever it is."""

from collections.abc import Iterator

from chalicelib.status.models import (
    ACTIONS,
    Connection,
    Ping,
    Subscribe,
    Unsubscribe,
    parse_message,
)
from chalicelib.status.repository import StatusRepository
from chalicelib.status.use_cases.connections import end
from chalicelib.status.use_cases.updates import load_owned, replay
from common.clock import epoch_in, timestamp
from common.errors import AppError, QuotaExceeded, TooManyRequests, Unauthenticated, envelope
from common.quotas import Quota
from common.sockets import Frame, Sockets

SUBSCRIPTIONS = Quota("subscriptions", 100)
"""Of one connection: whoever watches more opens another."""
PATIENCE_FACTOR = 2
"""Who sends so many times as much as they may is not answered any more but disconnected."""


class Flood(TooManyRequests):
    pass


OVER = (Unauthenticated, Flood)


def receive(
    status: StatusRepository, sockets: Sockets, connection_id: str, body: str, request_id: str
) -> None:
    """Answers on the connection that the message came from. It ends if the credential that opened
    it has, if there is no end to its messages, or if it does not take an answer."""
    try:
        for frame in _answers(status, connection_id, body):
            if not sockets.post(connection_id, frame):
                end(status, sockets, connection_id)
                return
    except AppError as error:
        problem = envelope(error.code, error.message, error.details, request_id, timestamp())
        taken = sockets.post(connection_id, {"type": "error"} | problem)
        if not taken or isinstance(error, OVER):
            end(status, sockets, connection_id)


def _answers(status: StatusRepository, connection_id: str, body: str) -> Iterator[Frame]:
    connection = status.connection(connection_id)
    if connection is None:
        raise Unauthenticated()
    _count(status, connection)
    message = parse_message(body)
    if scope := ACTIONS[message.action].scope:
        connection.principal.require(scope)
    match message:
        case Subscribe():
            yield from _subscribe(status, connection, message)
        case Unsubscribe():
            status.unsubscribe(connection_id, message.agent_id)
            yield {"type": "unsubscribed", "agentId": message.agent_id}
        case Ping():
            yield {"type": "pong", "seqs": _standings(status, connection_id)}


def _count(status: StatusRepository, connection: Connection) -> None:
    """Messages have the quota of requests, and are counted apart from them, in the table: what
    posts to sockets can't be in the cache's network."""
    user = connection.principal
    most = user.quotas.requests_per_minute
    count, left = status.count_message(user.user_id), 60 - epoch_in(0) % 60
    if count > most:
        kind = Flood if count > most * PATIENCE_FACTOR else TooManyRequests
        raise kind(f"This user has sent more than {most} messages in 60 s", left)


def _subscribe(
    status: StatusRepository, connection: Connection, message: Subscribe
) -> Iterator[Frame]:
    """First the subscription, then the reads: an update that commits in between is pushed."""
    connection_id, agent_id = connection.connection_id, message.agent_id
    load_owned(status, connection.principal, agent_id)
    watched = status.subscriptions_of(connection_id)
    if agent_id not in watched and len(watched) >= SUBSCRIPTIONS.limit:
        raise QuotaExceeded(SUBSCRIPTIONS)
    state = status.subscribe(connection, agent_id)
    yield {"type": "subscribed", "agentId": agent_id, "seq": state.seq, "status": state.status}
    if message.after is not None:
        yield from replay(status, state, message.after)


def _standings(status: StatusRepository, connection_id: str) -> dict[str, int]:
    """The latest `seq` of all that is watched: a client that lost the last update notices."""
    states = (status.agent(each) for each in status.subscriptions_of(connection_id))
    return {state.agent_id: state.seq for state in states if state}
