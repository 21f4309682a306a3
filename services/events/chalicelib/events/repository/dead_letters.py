"""The rows of dead letters, listed by status."""

from chalicelib.events.models.dead_letters import DeadLetter, LetterStatus
from common.clock import epoch_in
from common.cursors import Position
from common.dynamo import Put, Table
from common.errors import Conflict
from common.events.base import Event
from common.rows import Row

KEPT_SECONDS = 90 * 24 * 3600


class DeadLetterRepository:
    def __init__(self, table: Table) -> None:
        self._table = table

    def get(self, letter_id: str) -> DeadLetter | None:
        row = self._table.get(f"DEAD#{letter_id}", "LETTER")
        return _letter(row) if row else None

    def add(self, letter: DeadLetter, *events: Event) -> None:
        """The message's id is the key: one that is collected twice is there once."""
        try:
            self._table.write(Put(_row(letter)), events=events)
        except Conflict:
            if self.get(letter.id) is None:
                raise

    def replace(self, before: DeadLetter, after: DeadLetter) -> None:
        self._table.write(Put(_row(after), version=before.version))

    def page(
        self, status: LetterStatus, limit: int, start: Position | None
    ) -> tuple[list[DeadLetter], Position | None]:
        """Newest first."""
        page = self._table.query(
            _listed(status), index="GSI1", limit=limit, start=start, forward=False
        )
        return [_letter(row) for row in page.rows if row["TTL"] > epoch_in(0)], page.position


def _listed(status: LetterStatus) -> str:
    return f"LETTERS#{status.value}"


def _row(letter: DeadLetter) -> Row:
    return {
        "PK": f"DEAD#{letter.id}",
        "SK": "LETTER",
        "GSI1PK": _listed(letter.status),
        "GSI1SK": f"{letter.died_at}#{letter.id}",
        "letterId": letter.id,
        "consumer": letter.consumer,
        "queue": letter.queue,
        "reason": letter.reason,
        "message": letter.message,
        "attempts": letter.attempts,
        "event": letter.event,
        "eventId": letter.event_id,
        "diedAt": letter.died_at,
        "status": letter.status.value,
        "redrivenAt": letter.redriven_at,
        "body": letter.body,
        "version": letter.version,
        "TTL": epoch_in(KEPT_SECONDS),
    }


def _letter(row: Row) -> DeadLetter:
    return DeadLetter(
        id=row["letterId"],
        consumer=row["consumer"],
        queue=row.get("queue"),
        reason=row["reason"],
        message=row["message"],
        attempts=row["attempts"],
        event=row.get("event"),
        event_id=row.get("eventId"),
        died_at=row["diedAt"],
        status=LetterStatus(row["status"]),
        redriven_at=row.get("redrivenAt"),
        body=row["body"],
        version=row["version"],
    )
