"""EventBridge Scheduler of the emulator, with what it leaves out: time zones, the time for which a
firing was due, and a tick that nobody has to wait for."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any
from zoneinfo import ZoneInfo

TICK_SECONDS = 0.25
DUE_AT = "<aws.scheduler.scheduled-time>"
Schedule = Mapping[str, Any]


def install(scheduler: ModuleType, eventbridge: ModuleType) -> None:
    """In place of the emulator's own loop body, which is looked up by name."""
    scheduler._SCHEDULE_TICK_INTERVAL = TICK_SECONDS  # type: ignore[attr-defined]
    scheduler._tick_schedules = Ticker(scheduler, eventbridge).tick  # type: ignore[attr-defined]


class Ticker:
    def __init__(self, scheduler: ModuleType, eventbridge: ModuleType) -> None:
        self._scheduler = scheduler
        self._eventbridge = eventbridge
        self._fired: dict[tuple[Any, str, float], datetime] = {}

    def tick(self) -> None:
        now = datetime.now(UTC)
        for (account, region, key), schedule in list(self._scheduler._schedules._data.items()):
            state = (key, schedule["ScheduleExpression"], schedule["LastModificationDate"])
            due = self._due(schedule, self._fired.get(state, _since(schedule)))
            if due is None or due > now or schedule["State"] != "ENABLED":
                continue
            self._fired[state] = due
            self._scheduler.set_request_account_id(account)
            self._scheduler.set_request_region(region)
            self._fire(schedule, due)

    def _due(self, schedule: Schedule, after: datetime) -> datetime | None:
        """The first time after that one, within the schedule's own bounds."""
        zone = ZoneInfo(schedule["ScheduleExpressionTimezone"])
        due = self._next(schedule["ScheduleExpression"], after, zone)
        end = self._scheduler._to_epoch(schedule["EndDate"])
        return due if due and (end is None or due.timestamp() <= end) else None

    def _next(self, expression: str, after: datetime, zone: ZoneInfo) -> datetime | None:
        if expression.startswith("at("):
            at = datetime.fromisoformat(expression[3:-1]).replace(tzinfo=zone).astimezone(UTC)
            return at if at > after else None
        seconds = self._eventbridge._parse_rate_seconds(expression)
        if seconds:
            return after + timedelta(seconds=seconds)
        fields = self._eventbridge._parse_cron_fields(expression)
        found = self._eventbridge._cron_next_fire(fields, after.astimezone(zone))
        return found.astimezone(UTC) if found else None

    def _fire(self, schedule: Schedule, due: datetime) -> None:
        target = dict(schedule["Target"])
        at = due.strftime("%Y-%m-%dT%H:%M:%SZ")
        target["Input"] = target.get("Input", "{}").replace(DUE_AT, at)
        event = {"Source": "aws.scheduler", "DetailType": "Scheduled Event", "Detail": "{}"}
        told = event | {"EventId": self._scheduler.new_uuid(), "Time": time.time()}
        self._eventbridge._invoke_target(target, told | {"Resources": []}, schedule)


def _since(schedule: Schedule) -> datetime:
    """A schedule counts from its start, else from when it was last changed; a moment earlier, for
    what was due while it was on its way."""
    changed = datetime.fromtimestamp(schedule["LastModificationDate"], UTC)
    if not schedule["ScheduleExpression"].startswith("rate("):
        changed -= timedelta(seconds=5)
    start = schedule.get("StartDate")
    return max(changed, datetime.fromtimestamp(float(start), UTC)) if start else changed
