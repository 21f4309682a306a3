"""The open connections, by their id and by their user. Expired rows count as gone."""

import json
from collections.abc import Iterator

from chalicelib.graphql.models.sockets import Connection
from common.clock import epoch_in
from common.dynamo import ANY, Put, Table
from common.events.base import Event
from common.freshness import KEY_SET_SECONDS
from common.overdue import ends, overdue
from common.principals import Principal
from common.revocations import Revocation
from common.rows import Row

REVOCATION_KEPT_SECONDS = KEY_SET_SECONDS + 60
CONNECTION_KEPT_SECONDS = 2 * 3600
"""API Gateway ends every connection after two hours."""
INIT_KEPT_SECONDS = 60
"""Who opens a connection has to say who they are within this time."""


class ConnectionRepository:
    def __init__(self, table: Table) -> None:
        self._table = table

    def get(self, connection_id: str) -> Connection | None:
        row = self._table.get(f"CONNECTION#{connection_id}", "METADATA")
        return _connection(row) if row and _is_live(row) else None

    def of_user(self, user_id: str) -> list[Connection]:
        page = self._table.query(f"USER#{user_id}", prefix="CONNECTION#")
        return [_connection(row) for row in page.rows if _is_live(row)]

    def ever(self, user_id: str) -> int:
        """How many the user ever had: says whether `of_user` may have grown since."""
        row = self._table.get(f"USER#{user_id}", "CONNECTIONS")
        return int(row["version"]) if row else 0

    def open(self, connection: Connection) -> None:
        """Nobody's yet."""
        self._table.write(Put(_row(connection), version=ANY))

    def acknowledge(self, connection: Connection, ever: int) -> None:
        """Raises Conflict unless the user has had as many as `ever` before."""
        assert connection.principal, "only who is known is acknowledged"
        user = {"PK": f"USER#{connection.principal.user_id}"}
        by_user = _row(connection) | user | {"SK": f"CONNECTION#{connection.connection_id}"}
        del by_user["GSI1PK"], by_user["GSI1SK"]
        self._table.write(
            Put(user | {"SK": "CONNECTIONS", "version": ever + 1}, version=ever or None),
            Put(_row(connection), version=ANY),
            Put(by_user, version=ANY),
        )

    def remove(self, connection_id: str) -> None:
        row = self._table.get(f"CONNECTION#{connection_id}", "METADATA")
        principal = _connection(row).principal if row else None
        if principal:
            self._table.delete(f"USER#{principal.user_id}", f"CONNECTION#{connection_id}")
        self._table.delete(f"CONNECTION#{connection_id}", "METADATA")

    def overdue(self) -> Iterator[str]:
        """The connections whose time is over, the longest overdue first."""
        return overdue(self._table)

    def count_message(self, holder: str) -> int:
        """How many there were from them in this minute, this one included."""
        minute = epoch_in(0) // 60
        return self._table.add(holder, f"MESSAGES#{minute}", 1, ttl=epoch_in(120))

    def add_revocation(self, user_id: str, revocation: Revocation, cause: Event) -> None:
        """Kept for as long as the authorizer may not have heard of it. Raises AlreadyHandled."""
        key = {"PK": f"USER#{user_id}", "SK": f"REVOKED#{cause.event_id}"}
        ttl = {"TTL": epoch_in(REVOCATION_KEPT_SECONDS)}
        self._table.write(Put(key | revocation.model_dump(by_alias=True) | ttl), cause=cause)

    def revocations_of(self, user_id: str) -> list[Revocation]:
        page = self._table.query(f"USER#{user_id}", prefix="REVOKED#")
        return [
            Revocation(credential_id=row.get("credentialId"), session_id=row.get("sessionId"))
            for row in page.rows
            if _is_live(row)
        ]


def end_of(connection: Connection) -> int:
    """A connection lasts as long as the credential that it was opened with."""
    if not connection.acknowledged or connection.principal is None:
        return epoch_in(INIT_KEPT_SECONDS)
    end, expires_at = epoch_in(CONNECTION_KEPT_SECONDS), connection.principal.expires_at
    return end if expires_at is None else min(end, expires_at)


def _is_live(row: Row) -> bool:
    return bool(row["TTL"] > epoch_in(0))


def _row(connection: Connection) -> Row:
    principal, end = connection.principal, end_of(connection)
    return {
        "PK": f"CONNECTION#{connection.connection_id}",
        "SK": "METADATA",
        **ends(end),
        "connectionId": connection.connection_id,
        "principal": json.dumps(principal.as_authorizer_context()) if principal else None,
        "acknowledged": connection.acknowledged,
        "connectedAt": connection.connected_at,
        "TTL": end,
    }


def _connection(row: Row) -> Connection:
    told = row.get("principal")
    return Connection(
        connection_id=row["connectionId"],
        principal=Principal.from_authorizer(json.loads(told)) if told else None,
        acknowledged=row["acknowledged"],
        connected_at=row["connectedAt"],
    )
