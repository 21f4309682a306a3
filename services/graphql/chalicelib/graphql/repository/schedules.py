"""Schedules: `SCHEDULE#<id>`, listed by their user, who can have a hundred or so."""

import json
from collections.abc import Sequence

from chalicelib.graphql.models.schedules import Schedule
from chalicelib.graphql.repository.lists import Slice, newest
from common.cursors import Position
from common.dynamo import Put, Table
from common.rows import Row


class ScheduleRepository:
    def __init__(self, table: Table) -> None:
        self._table = table

    def find(self, schedule_id: str) -> Schedule | None:
        row = self._table.get(f"SCHEDULE#{schedule_id}", "METADATA")
        return _schedule(row) if row else None

    def find_many(self, schedule_ids: Sequence[str]) -> dict[str, Schedule]:
        rows = self._table.get_many([(f"SCHEDULE#{id}", "METADATA") for id in schedule_ids])
        return {each.id: each for each in map(_schedule, rows)}

    def list_for_user(
        self, user_id: str, agent_id: str | None, limit: int, start: Position | None
    ) -> Slice[Schedule]:
        """Newest first; all, or those of one agent."""

        def fits(row: Row) -> bool:
            return bool(row["agentId"] == agent_id)

        partition, wanted = f"USER#{user_id}#SCHEDULES", fits if agent_id else None
        return newest(self._table, partition, limit, start, wanted=wanted).of(_schedule)

    def save(self, before: Schedule, after: Schedule) -> None:
        """Raises Conflict unless the schedule is stored as `before`."""
        self._table.write(Put(_row(after), version=before.version or None))


def _row(schedule: Schedule) -> Row:
    """Not in the index until it can be shown, and not any more when it is deleted."""
    shown = schedule.visible
    return {
        "PK": f"SCHEDULE#{schedule.id}",
        "SK": "METADATA",
        "GSI1PK": f"USER#{schedule.user_id}#SCHEDULES" if shown else None,
        "GSI1SK": f"{schedule.created_at}#{schedule.id}" if shown else None,
        "agentId": schedule.agent_id,
        "schedule": json.dumps(schedule.wire(), ensure_ascii=False),
        "version": schedule.version,
    }


def _schedule(row: Row) -> Schedule:
    return Schedule.model_validate_json(row["schedule"])
