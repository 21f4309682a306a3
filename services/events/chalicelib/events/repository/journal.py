"""The journal's table: keys and rows live here and nowhere else."""

import json
import time
from collections.abc import Sequence

from chalicelib.events.models.journal import JournalEntry
from common.clock import epoch_in, timestamp
from common.cursors import Position
from common.dynamo import Page, Table
from common.rows import Row

KEPT_SECONDS = 90 * 24 * 3600
Found = tuple[list[JournalEntry], Position | None]


class JournalRepository:
    """Every list is newest first."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def add(self, entries: Sequence[JournalEntry]) -> None:
        """The event's id is in the key: the same one takes the same place."""
        rows = map(_row, entries)
        self._table.put_batch(list({row["SK"]: row for row in rows}.values()))

    def list_for_user(self, user_id: str, limit: int, start: Position | None) -> Found:
        return _entries(
            self._table.query(f"USER#{user_id}", limit=limit, start=start, forward=False)
        )

    def list_for_agent(self, agent_id: str, limit: int, start: Position | None) -> Found:
        return self._list_indexed(f"AGENT#{agent_id}", limit, start)

    def list_for_task(self, task_id: str, limit: int, start: Position | None) -> Found:
        return self._list_indexed(f"TASK#{task_id}", limit, start)

    def list_errors(self, user_id: str, limit: int, start: Position | None) -> Found:
        return self._list_indexed(f"ERRORS#{user_id}", limit, start)

    def _list_indexed(self, key: str, limit: int, start: Position | None) -> Found:
        return _entries(
            self._table.query(key, index="GSI1", limit=limit, start=start, forward=False)
        )


def _row(entry: JournalEntry) -> Row:
    """Nothing of the detail is kept a second time: most events take one write unit so, and one more
    for the index, which more than 1 KB would double."""
    sort_key, index_key = f"EVENT#{entry.timestamp}#{entry.event_id}", _index_key(entry)
    return {
        "PK": f"USER#{entry.user_id}",
        "SK": sort_key,
        "GSI1PK": index_key,
        "GSI1SK": sort_key if index_key else None,
        "detailType": entry.type,
        "source": entry.source,
        "recordedAt": timestamp(),
        "detail": json.dumps(entry.detail, ensure_ascii=False, separators=(",", ":")),
        "TTL": epoch_in(KEPT_SECONDS),
    }


def _index_key(entry: JournalEntry) -> str | None:
    """Errors are indexed by their user: a task's own history has its TaskFailed already."""
    if entry.is_error:
        return f"ERRORS#{entry.user_id}"
    if entry.task_id:
        return f"TASK#{entry.task_id}"
    return f"AGENT#{entry.agent_id}" if entry.agent_id else None


def _entries(page: Page) -> Found:
    """DynamoDB removes expired rows days late; they are gone for clients at once."""
    return [_entry(row) for row in page.rows if row["TTL"] > time.time()], page.position


def _entry(row: Row) -> JournalEntry:
    return JournalEntry.told(row["detailType"], row["source"], json.loads(row["detail"]))
