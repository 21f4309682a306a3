"""The status table: keys and rows live here and nowhere else. Expired rows count as gone."""

import json
from collections.abc import Iterator, Sequence
from itertools import takewhile

from chalicelib.status.models import (
    AgentState,
    Connection,
    News,
    Subscription,
    Update,
    Watched,
)
from common.clock import epoch_in
from common.dynamo import ANY, Put, Table
from common.events.base import Event
from common.freshness import KEY_SET_SECONDS
from common.overdue import ends, overdue
from common.principals import Principal
from common.revocations import Revocation
from common.rows import Row

UPDATE_KEPT_SECONDS = 24 * 3600
REVOCATION_KEPT_SECONDS = KEY_SET_SECONDS + 60
CONNECTION_KEPT_SECONDS = 2 * 3600
"""API Gateway ends every connection after two hours."""


class StatusRepository:
    def __init__(self, table: Table) -> None:
        self._table = table

    def agent(self, agent_id: str) -> AgentState | None:
        row = self._table.get(f"AGENT#{agent_id}", "METADATA")
        return _state(row) if row else None

    def watched(self, agent_id: str) -> Watched | None:
        """What is known of the agent and who watches it, in one read."""
        rows = list(self._every_row(f"AGENT#{agent_id}", "SUB#", after=""))  # not its updates
        known = [row for row in rows if row["SK"] == "METADATA"]
        subscriptions = [_subscription(row) for row in rows if row["SK"] != "METADATA"]
        return Watched(_state(known[0]), subscriptions, known[0]["version"]) if known else None

    def append(self, news: Sequence[News], cause: Event) -> None:
        """Raises Conflict unless the agents are stored and watched as they were `before`: no `seq`
        is used twice, and nobody who has just subscribed is left out."""
        states = (_put_state(each) for each in news)
        self._table.write(*states, *(Put(_update_row(each.update)) for each in news), cause=cause)

    def updates(
        self, agent_id: str, after: int, last: int, limit: int | None = None
    ) -> Iterator[Update]:
        """Those with after < seq ≤ last, in order; `limit` is how many are read at once."""
        rows = self._rows(f"AGENT#{agent_id}", "UPDATE#", after=f"UPDATE#{after:012d}", limit=limit)
        found = (_update(agent_id, row) for row in rows)
        return takewhile(lambda update: update.seq <= last, found)

    def update_for(self, agent_id: str, event_id: str) -> Update | None:
        """The update that this event led to, if it is one of the last hundred."""
        page = self._table.query(f"AGENT#{agent_id}", prefix="UPDATE#", limit=100, forward=False)
        rows = (row for row in page.rows if row["eventId"] == event_id)
        return next((_update(agent_id, row) for row in rows), None)

    def connection(self, connection_id: str) -> Connection | None:
        row = self._table.get(f"CONNECTION#{connection_id}", "METADATA")
        return _connection(row) if row and _is_live(row) else None

    def connections_of(self, user_id: str) -> list[Connection]:
        return [_connection(row) for row in self._rows(f"USER#{user_id}", "CONNECTION#")]

    def connections_ever(self, user_id: str) -> int:
        """How many the user ever opened: says whether `connections_of` may have grown since."""
        row = self._table.get(f"USER#{user_id}", "CONNECTIONS")
        return int(row["version"]) if row else 0

    def add_connection(self, connection: Connection, ever: int) -> None:
        """Raises Conflict unless the user has opened as many as `ever` before."""
        user_id = connection.principal.user_id
        one_more = {"PK": f"USER#{user_id}", "SK": "CONNECTIONS", "version": ever + 1}
        row = _connection_row(connection)
        by_user, by_id = (
            row | {"PK": pk, "SK": sk}
            for pk, sk in _connection_keys(connection.connection_id, user_id)
        )
        self._table.write(
            Put(one_more, version=ever or None),
            Put(by_user, version=ANY),
            Put(by_id | ends(row["TTL"]), version=ANY),
        )

    def overdue(self) -> Iterator[str]:
        """The connections whose time is over, the longest overdue first."""
        return overdue(self._table)

    def count_message(self, user_id: str) -> int:
        """How many the user has sent in this minute, this one included."""
        minute = epoch_in(0) // 60
        return self._table.add(f"USER#{user_id}", f"MESSAGES#{minute}", 1, ttl=epoch_in(120))

    def subscriptions_of(self, connection_id: str) -> list[str]:
        """The agents that the connection watches."""
        return [row["agentId"] for row in self._every_row(f"CONNECTION#{connection_id}", "SUB#")]

    def remove_connection(self, connection_id: str) -> None:
        """With its subscriptions; the connection goes last, so that a retry still finds them."""
        for agent_id in self.subscriptions_of(connection_id):
            self.unsubscribe(connection_id, agent_id)
        known = self._table.get(f"CONNECTION#{connection_id}", "METADATA")
        for key in _connection_keys(connection_id, known["userId"]) if known else ():
            self._table.delete(*key)

    def subscribe(self, connection: Connection, agent_id: str) -> AgentState:
        """What is known of the agent now that the connection watches it: whoever read who watches
        it before is refused to append to it."""
        row = {
            "agentId": agent_id,
            "connectionId": connection.connection_id,
            "userId": connection.principal.user_id,
            "TTL": _end_of(connection),
        }
        keys = _subscription_keys(connection.connection_id, agent_id)
        self._table.write(*(Put({"PK": pk, "SK": sk} | row, version=ANY) for pk, sk in keys))
        return _state(self._table.touch(f"AGENT#{agent_id}", "METADATA"))

    def unsubscribe(self, connection_id: str, agent_id: str) -> None:
        self._table.delete_batch(_subscription_keys(connection_id, agent_id))

    def add_revocation(self, user_id: str, revocation: Revocation, cause: Event) -> None:
        """Kept for as long as the authorizer may not have heard of it. Raises AlreadyHandled."""
        key = {"PK": f"USER#{user_id}", "SK": f"REVOKED#{cause.event_id}"}
        row = (
            key | revocation.model_dump(by_alias=True) | {"TTL": epoch_in(REVOCATION_KEPT_SECONDS)}
        )
        self._table.write(Put(row), cause=cause)

    def revocations_of(self, user_id: str) -> list[Revocation]:
        return [
            Revocation(credential_id=row.get("credentialId"), session_id=row.get("sessionId"))
            for row in self._rows(f"USER#{user_id}", "REVOKED#")
        ]

    def _rows(
        self, pk: str, prefix: str, after: str | None = None, limit: int | None = None
    ) -> Iterator[Row]:
        return filter(_is_live, self._every_row(pk, prefix, after, limit))

    def _every_row(
        self, pk: str, prefix: str, after: str | None = None, limit: int | None = None
    ) -> Iterator[Row]:
        position = None
        while True:
            page = self._table.query(pk, prefix=prefix, after=after, limit=limit, start=position)
            yield from page.rows
            position = page.position
            if position is None:
                return


def _is_live(row: Row) -> bool:
    return bool(row["TTL"] > epoch_in(0))


def _end_of(connection: Connection) -> int:
    """A connection lasts as long as the credential that opened it."""
    end = epoch_in(CONNECTION_KEPT_SECONDS)
    expires_at = connection.principal.expires_at
    return end if expires_at is None else min(end, expires_at)


def _connection_keys(connection_id: str, user_id: str) -> list[tuple[str, str]]:
    """Both ways: by user to know how many there are, by connection to know whose it is."""
    return [
        (f"USER#{user_id}", f"CONNECTION#{connection_id}"),
        (f"CONNECTION#{connection_id}", "METADATA"),
    ]


def _subscription_keys(connection_id: str, agent_id: str) -> list[tuple[str, str]]:
    """Both ways: by connection to clean up after it, by agent to push without a scan."""
    return [
        (f"CONNECTION#{connection_id}", f"SUB#{agent_id}"),
        (f"AGENT#{agent_id}", f"SUB#{connection_id}"),
    ]


def _subscription(row: Row) -> Subscription:
    return Subscription(row["connectionId"], row["userId"], _is_live(row))


def _put_state(news: News) -> Put:
    key = {"PK": f"AGENT#{news.state.agent_id}", "SK": "METADATA"}
    before = news.before.version
    row = key | news.state.model_dump(by_alias=True) | {"version": before + 1}
    return Put(row, version=before or None)


def _state(row: Row) -> AgentState:
    return AgentState.model_validate(
        {name: value for name, value in row.items() if name not in ("PK", "SK", "version")}
    )


def _update_row(update: Update) -> Row:
    return {
        "PK": f"AGENT#{update.agent_id}",
        "SK": f"UPDATE#{update.seq:012d}",
        **update.model_dump(by_alias=True, exclude={"agent_id", "data"}),
        "data": json.dumps(update.data, ensure_ascii=False),
        "TTL": epoch_in(UPDATE_KEPT_SECONDS),
    }


def _update(agent_id: str, row: Row) -> Update:
    return Update(
        agent_id=agent_id,
        seq=row["seq"],
        event_id=row["eventId"],
        event=row["event"],
        task_id=row.get("taskId"),
        data=json.loads(row["data"]),
        traceparent=row.get("traceparent"),
        timestamp=row["timestamp"],
    )


def _connection_row(connection: Connection) -> Row:
    return {
        "connectionId": connection.connection_id,
        "userId": connection.principal.user_id,
        "principal": json.dumps(connection.principal.as_authorizer_context()),
        "connectedAt": connection.connected_at,
        "TTL": _end_of(connection),
    }


def _connection(row: Row) -> Connection:
    return Connection(
        connection_id=row["connectionId"],
        principal=Principal.from_authorizer(json.loads(row["principal"])),
        connected_at=row["connectedAt"],
    )
