"""What happened to each agent in order, and the subscriptions that want to hear of it."""

import json
from collections.abc import Iterator

from chalicelib.graphql.models.requests import GraphQLRequest
from chalicelib.graphql.models.sockets import Operation, Stream, Update
from chalicelib.graphql.repository.connections import CONNECTION_KEPT_SECONDS
from common.clock import epoch_in
from common.dynamo import Action, Put, Table
from common.principals import Principal
from common.rows import Row

UPDATE_KEPT_SECONDS = 24 * 3600
WATCHED_SECONDS = CONNECTION_KEPT_SECONDS + 60
"""No subscription lasts longer than its connection."""


class UpdateRepository:
    """Expired rows count as gone."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def next(self, update: Update, before: Stream) -> tuple[Update, list[Action]]:
        """The update with its number, and what is to be written with what it tells of. Conflict is
        raised by the write if there is a later one, or one more subscription."""
        after = before.next
        numbered = update.model_copy(update={"seq": after.latest})
        stream = Put(_stream_row(update.agent_id, after), version=before.version or None)
        return numbered, [stream, Put(_update_row(numbered))]

    def after(self, agent_id: str, seq: int, limit: int) -> list[Update]:
        """The first ones, in order."""
        found: list[Update] = []
        position = None
        while len(found) < limit:
            page = self._table.query(
                f"AGENT#{agent_id}",
                prefix="UPDATE#",
                after=f"UPDATE#{seq:012d}",
                limit=limit,
                start=position,
            )
            found += [_update(agent_id, row) for row in page.rows if _is_live(row)]
            position = page.position
            if position is None:
                break
        return found[:limit]

    def of_event(self, agent_id: str, event_id: str) -> Update | None:
        """If it is one of the last hundred."""
        page = self._table.query(f"AGENT#{agent_id}", prefix="UPDATE#", limit=100, forward=False)
        rows = (row for row in page.rows if row["eventId"] == event_id)
        return next((_update(agent_id, row) for row in rows), None)

    def operations(self, agent_id: str) -> list[Operation]:
        return [_operation(row) for row in self._rows(f"AGENT#{agent_id}", "OPERATION#")]

    def operations_of(self, connection_id: str) -> list[tuple[str, str]]:
        """Their ids, each with the agent that it is about."""
        rows = self._rows(f"CONNECTION#{connection_id}", "OPERATION#")
        return [(row["id"], row["agentId"]) for row in rows]

    def add(self, operation: Operation, ttl: int) -> int:
        """The number of the agent's latest update, now that the operation hears of those that come
        after it. Raises Conflict if the connection has one with this id."""
        by_connection, by_agent = _keys(operation.connection_id, operation.id, operation.agent_id)
        key = {"id": operation.id, "agentId": operation.agent_id, "TTL": ttl}
        self._table.write(
            Put({"PK": by_connection[0], "SK": by_connection[1]} | key),
            Put({"PK": by_agent[0], "SK": by_agent[1], "TTL": ttl} | _operation_row(operation)),
        )
        until = epoch_in(WATCHED_SECONDS)
        stream = self._table.touch(*key_of_stream(operation.agent_id), watchedUntil=until)
        return stream_of(stream).latest

    def remove(self, connection_id: str, operation_id: str, agent_id: str) -> None:
        self._table.delete_batch(_keys(connection_id, operation_id, agent_id))

    def _rows(self, pk: str, prefix: str) -> Iterator[Row]:
        position = None
        while True:
            page = self._table.query(pk, prefix=prefix, start=position)
            yield from page.rows
            position = page.position
            if position is None:
                return


def key_of_stream(agent_id: str) -> tuple[str, str]:
    return f"AGENT#{agent_id}", "STREAM"


def stream_of(row: Row | None) -> Stream:
    row = row or {}
    numbers = (row.get(name, 0) for name in ("latest", "watchedUntil", "version"))
    return Stream(*map(int, numbers))


def _stream_row(agent_id: str, stream: Stream) -> Row:
    pk, sk = key_of_stream(agent_id)
    return {
        "PK": pk,
        "SK": sk,
        "latest": stream.latest,
        "watchedUntil": stream.watched_until,
        "version": stream.version,
    }


def _keys(connection_id: str, operation_id: str, agent_id: str) -> list[tuple[str, str]]:
    """Both ways: by connection to clean up after it, by agent to push without a scan."""
    return [
        (f"CONNECTION#{connection_id}", f"OPERATION#{operation_id}"),
        (f"AGENT#{agent_id}", f"OPERATION#{connection_id}#{operation_id}"),
    ]


def _is_live(row: Row) -> bool:
    return bool(row["TTL"] > epoch_in(0))


def _update_row(update: Update) -> Row:
    return {
        "PK": f"AGENT#{update.agent_id}",
        "SK": f"UPDATE#{update.seq:012d}",
        **update.model_dump(by_alias=True, exclude={"agent_id", "value"}),
        "value": json.dumps(update.value, ensure_ascii=False),
        "TTL": epoch_in(UPDATE_KEPT_SECONDS),
    }


def _update(agent_id: str, row: Row) -> Update:
    return Update(
        agent_id=agent_id,
        task_id=row.get("taskId"),
        field=row["field"],
        value=json.loads(row["value"]),
        event_id=row["eventId"],
        seq=row["seq"],
    )


def _operation_row(operation: Operation) -> Row:
    return {
        "connectionId": operation.connection_id,
        "id": operation.id,
        "principal": json.dumps(operation.principal.as_authorizer_context()),
        "agentId": operation.agent_id,
        "taskId": operation.task_id,
        "field": operation.field,
        "request": operation.request.model_dump_json(by_alias=True),
    }


def _operation(row: Row) -> Operation:
    return Operation(
        connection_id=row["connectionId"],
        id=row["id"],
        principal=Principal.from_authorizer(json.loads(row["principal"])),
        agent_id=row["agentId"],
        task_id=row.get("taskId"),
        field=row["field"],
        request=GraphQLRequest.from_client(row["request"]),
        is_live=_is_live(row),
    )
