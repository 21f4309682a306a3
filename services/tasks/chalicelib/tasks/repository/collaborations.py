"""Rows of collaborations: `COLLABORATION#<id>` holds the collaboration and a row per participant,
so that those who end at the same time do not wait for each other."""

from chalicelib.tasks.models.collaborations import (
    Collaboration,
    CollaborationFile,
    CollaborationNotFound,
    Fault,
    Participant,
)
from common.cursors import Position
from common.dynamo import Put, Table
from common.events.base import Event
from common.idempotency import Once
from common.rows import Row


class CollaborationRepository:
    def __init__(self, table: Table) -> None:
        self._table = table

    def get(self, collaboration_id: str) -> Collaboration:
        row = self._table.get(f"COLLABORATION#{collaboration_id}", "METADATA")
        if row is None:
            raise CollaborationNotFound(collaboration_id)
        return _collaboration(row)

    def file(self, collaboration_id: str) -> CollaborationFile:
        """Raises CollaborationNotFound."""
        rows, start = [], None
        while True:
            page = self._table.query(f"COLLABORATION#{collaboration_id}", start=start)
            rows += page.rows
            start = page.position
            if not start:
                break
        if not rows:
            raise CollaborationNotFound(collaboration_id)
        first, *others = rows
        participants = [_participant(row) for row in others]
        return CollaborationFile(collaboration=_collaboration(first), participants=participants)

    def list_for_user(
        self, user_id: str, limit: int, start: Position | None
    ) -> tuple[list[Collaboration], Position | None]:
        """Newest first."""
        page = self._table.query(
            f"COLLABORATIONS#{user_id}", index="GSI1", limit=limit, start=start, forward=False
        )
        return [_collaboration(row) for row in page.rows], page.position

    def add(self, file: CollaborationFile, started: Event, once: Once | None) -> None:
        rows = [_participant_row(file.collaboration.id, each) for each in file.participants]
        puts = [Put(row) for row in (_collaboration_row(file.collaboration), *rows)]
        self._table.write(*puts, events=[started], once=once)

    def replay(self, once: Once | None) -> None:
        self._table.replay(once)

    def replace(
        self,
        before: Collaboration,
        after: Collaboration,
        *events: Event,
        once: Once | None = None,
    ) -> None:
        """Raises Conflict unless it is stored as `before`."""
        put = Put(_collaboration_row(after), version=before.version)
        self._table.write(put, events=events, once=once)

    def replace_participant(
        self, collaboration_id: str, before: Participant, after: Participant, *events: Event
    ) -> None:
        """Raises Conflict unless it is stored as `before`: a participant ends once."""
        put = Put(_participant_row(collaboration_id, after), version=before.version)
        self._table.write(put, events=events)


_KEYS = {"PK", "SK", "GSI1PK", "GSI1SK"}


def _collaboration_row(collaboration: Collaboration) -> Row:
    return {
        "PK": f"COLLABORATION#{collaboration.id}",
        "SK": "METADATA",
        "GSI1PK": f"COLLABORATIONS#{collaboration.user_id}",
        "GSI1SK": f"{collaboration.created_at}#{collaboration.id}",
        "id": collaboration.id,
        "userId": collaboration.user_id,
        "pattern": collaboration.pattern.value,
        "status": collaboration.status.value,
        "size": collaboration.size,
        "error": _json(collaboration.error),
        "createdAt": collaboration.created_at,
        "completedAt": collaboration.completed_at,
        "version": collaboration.version,
        "correlationId": collaboration.correlation_id,
        "traceparent": collaboration.traceparent,
        "activeTasks": collaboration.active_tasks,
        "tokensPerDay": collaboration.tokens_per_day,
    }


def _participant_row(collaboration_id: str, participant: Participant) -> Row:
    return {
        "PK": f"COLLABORATION#{collaboration_id}",
        "SK": f"PARTICIPANT#{participant.index:02d}",
        "index": participant.index,
        "agentId": participant.agent_id,
        "description": participant.description,
        "taskId": participant.task_id,
        "status": participant.status.value,
        "result": participant.result,
        "resultTruncated": participant.result_truncated,
        "error": _json(participant.error),
        "version": participant.version,
    }


def _json(fault: Fault | None) -> str | None:
    return fault.model_dump_json() if fault else None


def _fields(row: Row) -> Row:
    fields = {name: row[name] for name in row.keys() - _KEYS}
    if "error" in fields:
        fields["error"] = Fault.model_validate_json(fields["error"])
    return fields


def _collaboration(row: Row) -> Collaboration:
    return Collaboration.model_validate(_fields(row))


def _participant(row: Row) -> Participant:
    return Participant.model_validate(_fields(row))
