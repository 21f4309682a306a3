"""Schedules, their firings, and what is known of the agents and users that they are about."""

import json

from chalicelib.events.models.schedules import (
    Authority,
    Firing,
    Schedule,
    ScheduleNotFound,
    WantedSchedule,
)
from common.clock import epoch_in
from common.cursors import Position
from common.dynamo import ANY, Count, Delete, Put, Table
from common.errors import Conflict
from common.events.base import Event
from common.idempotency import Once
from common.quotas import Quota
from common.rows import Row

FIRING_KEPT_SECONDS = 90 * 24 * 3600


class ScheduleRepository:
    def __init__(self, table: Table) -> None:
        self._table = table

    def get(self, schedule_id: str) -> Schedule:
        found = self.find(schedule_id)
        if found is None:
            raise ScheduleNotFound(schedule_id)
        return found

    def find(self, schedule_id: str) -> Schedule | None:
        row = self._table.get(f"SCHEDULE#{schedule_id}", "METADATA")
        return _schedule(row) if row else None

    def list_for_user(
        self, user_id: str, limit: int, start: Position | None
    ) -> tuple[list[Schedule], Position | None]:
        """Newest first."""
        page = self._table.query(
            f"SCHEDULES#{user_id}", index="GSI1", limit=limit, start=start, forward=False
        )
        return [_schedule(row) for row in page.rows], page.position

    def replay(self, once: Once | None) -> None:
        self._table.replay(once)

    def add(self, schedule: Schedule, event: Event, once: Once | None, quota: Quota) -> None:
        """Raises QuotaExceeded if its owner has as many as they may have."""
        one_more = Count(*_counted(schedule.user_id), 1, quota)
        self._table.write(Put(_row(schedule)), one_more, events=[event], once=once)

    def replace(self, before: Schedule, after: Schedule, *events: Event) -> None:
        self._table.write(Put(_row(after), version=before.version), events=events)

    def remove(self, schedule: Schedule, event: Event) -> None:
        one_less = Count(*_counted(schedule.user_id), -1)
        gone = Delete(f"SCHEDULE#{schedule.id}", "METADATA", version=schedule.version)
        self._table.write(gone, one_less, events=[event])

    def schedule_of(self, firing_id: str) -> str | None:
        """The id of the schedule, if there was such a firing."""
        row = self._table.get(f"FIRING#{firing_id}", "FIRING")
        return str(row["scheduleId"]) if row else None

    def fire(self, before: Schedule, after: Schedule, firing: Firing, *events: Event) -> None:
        """A firing is written once, together with what it led to."""
        row = {
            "PK": f"FIRING#{firing.id}",
            "SK": "FIRING",
            "scheduleId": after.id,
            "dueAt": firing.due_at,
            "TTL": epoch_in(FIRING_KEPT_SECONDS),
        }
        self._table.write(Put(row), Put(_row(after), version=before.version), events=events)

    def owner_of(self, agent_id: str) -> str | None:
        """Of an agent that exists."""
        row = self._table.get(f"AGENT#{agent_id}", "OWNER")
        return str(row["userId"]) if row and not row["deleted"] else None

    def keep_agent(self, agent_id: str, user_id: str, deleted: bool) -> None:
        """Nothing but its end changes about it, and that stays, whatever arrives later."""
        row = {"PK": f"AGENT#{agent_id}", "SK": "OWNER", "userId": user_id, "deleted": deleted}
        try:
            self._table.write(Put(row, version=ANY if deleted else None))
        except Conflict:
            if self._table.get(f"AGENT#{agent_id}", "OWNER") is None:
                raise

    def authority(self, user_id: str) -> Authority | None:
        """What was last heard about the user, if anything was."""
        row = self._table.get(f"OWNER#{user_id}", "AUTHORITY")
        return Authority.model_validate_json(row["authority"]) if row else None

    def keep_authority(self, user_id: str, known: Authority | None, now: Authority) -> None:
        row = {
            "PK": f"OWNER#{user_id}",
            "SK": "AUTHORITY",
            "authority": now.model_dump_json(by_alias=True),
            "version": now.version,
        }
        self._table.write(Put(row, version=known.version if known else None))


def _counted(user_id: str) -> tuple[str, str]:
    return f"OWNER#{user_id}", "SCHEDULES"


def _row(schedule: Schedule) -> Row:
    last = schedule.last_firing
    return {
        "PK": f"SCHEDULE#{schedule.id}",
        "SK": "METADATA",
        "GSI1PK": f"SCHEDULES#{schedule.user_id}",
        "GSI1SK": f"{schedule.created_at}#{schedule.id}",
        "scheduleId": schedule.id,
        "userId": schedule.user_id,
        "wanted": schedule.wanted.model_dump_json(by_alias=True),
        "authority": schedule.authority.model_dump_json(by_alias=True),
        "createdAt": schedule.created_at,
        "updatedAt": schedule.updated_at,
        "lastFiring": last.model_dump_json(by_alias=True) if last else None,
        "running": schedule.running,
        "runningSince": schedule.running_since,
        "waiting": json.dumps(schedule.waiting),
        "version": schedule.version,
    }


def _schedule(row: Row) -> Schedule:
    return Schedule(
        id=row["scheduleId"],
        user_id=row["userId"],
        wanted=WantedSchedule.model_validate_json(row["wanted"]),
        authority=Authority.model_validate_json(row["authority"]),
        created_at=row["createdAt"],
        updated_at=row["updatedAt"],
        last_firing=Firing.model_validate_json(row["lastFiring"]) if "lastFiring" in row else None,
        running=row.get("running"),
        running_since=row["runningSince"],
        waiting=tuple(json.loads(row["waiting"])),
        version=row["version"],
    )
