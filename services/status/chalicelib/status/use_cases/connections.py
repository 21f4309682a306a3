"""A connection opens within its user's quota, and ends with the credential that opened it."""

from chalicelib.status.models import Connection
from chalicelib.status.repository import StatusRepository
from common.clock import timestamp
from common.dynamo import retry_conflicts
from common.errors import QuotaExceeded, Unauthenticated, Unavailable
from common.events.base import Event
from common.principals import Principal
from common.revocations import Revocation
from common.sockets import Sockets


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


def end(status: StatusRepository, sockets: Sockets, connection_id: str) -> bool:
    """False when it is still open, and then still known."""
    if not sockets.close(connection_id):
        return False
    status.remove_connection(connection_id)
    return True


def end_overdue(status: StatusRepository, sockets: Sockets) -> int:
    """Ends the connections whose time is over, whether or not anything is said on them: how many.
    What can't be closed is tried again the next time."""
    return sum(end(status, sockets, each) for each in list(status.overdue()))


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
