"""A connection is opened by anybody, is good for who says who they are, and ends with their
credential."""

from collections.abc import Callable

from chalicelib.graphql.models.sockets import Closed, Connection
from chalicelib.graphql.repository.connections import ConnectionRepository
from chalicelib.graphql.repository.updates import UpdateRepository
from common.clock import timestamp
from common.dynamo import retry_conflicts
from common.errors import QuotaExceeded, Unauthenticated, Unavailable
from common.events.base import Event
from common.principals import Principal
from common.revocations import Revocation
from common.sockets import Sockets

Authenticate = Callable[[], Principal]


def connect(
    connections: ConnectionRepository, connection_id: str, principal: Principal | None
) -> None:
    """Who named a credential at the handshake need not do so again."""
    opened = Connection(connection_id=connection_id, principal=principal, connected_at=timestamp())
    connections.open(opened)


def acknowledge(
    connections: ConnectionRepository, connection: Connection, authenticate: Authenticate | None
) -> None:
    """Raises Closed. Counts what is there instead of keeping a count: $disconnect may never come,
    and then only time ends a connection."""
    if connection.acknowledged:
        raise Closed(4429, "Too many initialisation requests")
    try:
        principal = authenticate() if authenticate else connection.principal
        if principal is None:
            raise Unauthenticated()
        known = connection.model_copy(update={"principal": principal, "acknowledged": True})
        retry_conflicts(lambda: _within_quota(connections, known, principal))
        if any(each.refuses(principal) for each in connections.revocations_of(principal.user_id)):
            raise Unauthenticated()  # asked last: nothing can fall in between
    except (Unauthenticated, QuotaExceeded) as refused:
        raise Closed(4403, refused.message) from refused


def _within_quota(
    connections: ConnectionRepository, known: Connection, principal: Principal
) -> None:
    ever = connections.ever(principal.user_id)  # first: what comes after is noticed
    if len(connections.of_user(principal.user_id)) >= principal.quotas.sockets:
        raise QuotaExceeded(principal.quotas.quota("sockets"))
    connections.acknowledge(known, ever)


def forget(
    connections: ConnectionRepository, updates: UpdateRepository, connection_id: str
) -> None:
    """With its subscriptions; the connection goes last, so that a retry still finds them."""
    for operation_id, agent_id in updates.operations_of(connection_id):
        updates.remove(connection_id, operation_id, agent_id)
    connections.remove(connection_id)


def end(
    connections: ConnectionRepository,
    updates: UpdateRepository,
    sockets: Sockets,
    connection_id: str,
) -> bool:
    """False when it is still open, and then still known."""
    if not sockets.close(connection_id):
        return False
    forget(connections, updates, connection_id)
    return True


def end_overdue(
    connections: ConnectionRepository, updates: UpdateRepository, sockets: Sockets
) -> int:
    """Ends the connections whose time is over, whether or not anything is said on them."""
    overdue = list(connections.overdue())
    return sum(end(connections, updates, sockets, each) for each in overdue)


def end_access(
    connections: ConnectionRepository,
    updates: UpdateRepository,
    sockets: Sockets,
    revocation: Revocation,
    cause: Event,
) -> None:
    """Ends the open connections; those that are being opened end at `acknowledge`. An event that
    comes again finds what a crash left open."""
    try:
        connections.add_revocation(cause.user_id, revocation, cause)
    finally:
        left = [
            each.connection_id
            for each in connections.of_user(cause.user_id)
            if each.principal
            and revocation.concerns(each.principal)
            and not end(connections, updates, sockets, each.connection_id)
        ]
    if left:
        raise Unavailable(f"{len(left)} connections are still open")
