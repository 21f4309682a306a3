"""What users do with schedules, and how EventBridge Scheduler is told."""

import time
from typing import Any, Protocol

from chalicelib.events.models.schedules import Authority, Schedule, WantedSchedule
from chalicelib.events.repository.schedules import ScheduleRepository
from common.clock import new_id, timestamp
from common.cursors import Position
from common.dynamo import retry_conflicts
from common.errors import Invalid, NotFound
from common.events.schedules import ScheduleChangedV1
from common.idempotency import Once
from common.principals import Principal

PROJECTION_LAG_SECONDS = 2.0
_POLL_SECONDS = 0.05


class Scheduler(Protocol):
    """EventBridge Scheduler, which fires what it was told about."""

    def keep(self, schedule: Schedule) -> None: ...

    def remove(self, schedule_id: str) -> None: ...


def create_schedule(
    schedules: ScheduleRepository,
    principal: Principal,
    wanted: WantedSchedule,
    once: Once | None,
) -> Schedule:
    schedules.replay(once)
    _require_agent(schedules, principal, wanted.agent_id)
    now = timestamp()
    schedule = Schedule(
        id=new_id(),
        user_id=principal.user_id,
        wanted=wanted,
        authority=Authority.of(principal),
        created_at=now,
        updated_at=now,
    )
    _require_future(schedule)
    answer = once and once.answering(201, schedule)
    event = changed(schedule, _state(schedule))
    schedules.add(schedule, event, answer, principal.quotas.quota("schedules"))
    return schedule


def update_schedule(
    schedules: ScheduleRepository, principal: Principal, schedule_id: str, wanted: WantedSchedule
) -> Schedule:
    """The whole of what is wanted is replaced; what runs or waits is not touched."""
    load_owned(schedules, principal, schedule_id)
    _require_agent(schedules, principal, wanted.agent_id)

    def attempt() -> Schedule:
        before = load_owned(schedules, principal, schedule_id)
        after = before.model_copy(
            update={
                "wanted": wanted,
                "authority": Authority.of(principal),
                "updated_at": timestamp(),
                "version": before.version + 1,
            }
        )
        _require_future(after)
        schedules.replace(before, after, changed(after, _state(after)))
        return after

    return retry_conflicts(attempt)


def delete_schedule(schedules: ScheduleRepository, principal: Principal, schedule_id: str) -> None:
    def attempt() -> None:
        schedule = load_owned(schedules, principal, schedule_id)
        last = schedule.model_copy(update={"version": schedule.version + 1})
        schedules.remove(schedule, changed(last, "deleted"))

    retry_conflicts(attempt)


def load_owned(schedules: ScheduleRepository, principal: Principal, schedule_id: str) -> Schedule:
    """The one owner check for schedules."""
    schedule = schedules.get(schedule_id)
    principal.require_owner(schedule.user_id, f"Schedule {schedule_id}")
    return schedule


def list_schedules(
    schedules: ScheduleRepository, principal: Principal, limit: int, start: Position | None
) -> tuple[list[Schedule], Position | None]:
    return schedules.list_for_user(principal.user_id, limit, start)


def apply(schedules: ScheduleRepository, scheduler: Scheduler, schedule_id: str) -> None:
    """Makes EventBridge Scheduler agree with the table as it is now, however late this comes.
    Who changed the table meanwhile may have been faster there, so it is looked at once more."""
    while True:
        schedule = schedules.find(schedule_id)
        if schedule:
            scheduler.keep(schedule)
        else:
            scheduler.remove(schedule_id)
        again = schedules.find(schedule_id)
        if (again and again.updated_at) == (schedule and schedule.updated_at):
            return


def _require_agent(schedules: ScheduleRepository, principal: Principal, agent_id: str) -> None:
    """An agent created a moment ago may not have arrived here yet: a missing one is waited for."""
    deadline = time.monotonic() + PROJECTION_LAG_SECONDS
    owner = schedules.owner_of(agent_id)
    while owner is None and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        owner = schedules.owner_of(agent_id)
    if owner is None:
        raise NotFound(f"Agent {agent_id} does not exist", agentId=agent_id)
    principal.require_owner(owner, f"Agent {agent_id}")


def _require_future(schedule: Schedule) -> None:
    """Raises Invalid for what would never be due."""
    wanted = schedule.wanted
    if wanted.enabled and wanted.next_after(schedule.since, schedule.since) is None:
        field = "at" if wanted.at else "rate" if wanted.rate else "cron"
        raise Invalid(f"{field}: it would never be due", field=field)


def _state(schedule: Schedule) -> str:
    return "enabled" if schedule.wanted.enabled else "disabled"


def changed(schedule: Schedule, state: str) -> ScheduleChangedV1:
    return ScheduleChangedV1(
        schedule_id=schedule.id,
        agent_id=schedule.wanted.agent_id,
        state=state,
        **({} if state == "deleted" else _described(schedule)),
        user_id=schedule.user_id,
        aggregate_id=schedule.id,
        aggregate_version=schedule.version,
    )


def _described(schedule: Schedule) -> dict[str, Any]:
    times = {"created_at": schedule.created_at, "updated_at": schedule.updated_at}
    return schedule.wanted.model_dump(exclude={"agent_id", "enabled"}, mode="json") | times
