"""A schedule is due: what it leads to, once; and what follows when the task has ended."""

import logging
from typing import Any

from chalicelib.events.models.schedules import Authority, Firing, Outcome, Schedule
from chalicelib.events.repository.schedules import ScheduleRepository
from chalicelib.events.use_cases import schedules as own
from common.dynamo import retry_conflicts
from common.events.agents import AgentCreatedV1, AgentDeletedV1
from common.events.auth import UserChangedV1
from common.events.base import Event
from common.events.delivery import require_owner
from common.events.schedules import ScheduledTaskV1
from common.events.tasks import ErrorOccurredV1

log = logging.getLogger(__name__)


def fire(
    schedules: ScheduleRepository, scheduler: own.Scheduler, schedule_id: str, due_at: str
) -> None:
    """What is not due any more, as the schedule is now, is dropped, and Scheduler is told anew."""

    def attempt() -> bool:
        schedule = schedules.find(schedule_id)
        if schedule is None or not schedule.wanted.is_due(due_at):
            return False
        if schedules.schedule_of(Firing.of(schedule_id, due_at, Outcome.STARTED).id):
            log.info("fired before", extra={"scheduleId": schedule_id, "dueAt": due_at})
            return True
        after, firing = schedule.fired(due_at)
        schedules.fire(schedule, after, firing, *_announced(schedules, after, firing))
        return True

    if not retry_conflicts(attempt):
        log.info("not due any more", extra={"scheduleId": schedule_id, "dueAt": due_at})
        own.apply(schedules, scheduler, schedule_id)


def task_ended(schedules: ScheduleRepository, event: Event) -> None:
    """If it was the task of a firing, what waits for it comes next."""
    _settle(schedules, event.aggregate_id)


def task_refused(schedules: ScheduleRepository, event: ErrorOccurredV1) -> None:
    """A schedule for an agent that is gone is switched off."""
    firing_id = event.context.get("firingId")
    if firing_id:
        is_gone = event.error_type == "AgentNotFound"
        _settle(schedules, firing_id, refused=True, for_good=is_gone)


def _settle(
    schedules: ScheduleRepository, firing_id: str, refused: bool = False, for_good: bool = False
) -> None:
    schedule_id = schedules.schedule_of(firing_id)

    def attempt() -> None:
        before = schedules.find(schedule_id) if schedule_id else None
        if before is None or before.running != firing_id:
            return
        after, following = (before.refused(for_good) if refused else before).settled()
        events = _announced(schedules, after, following) if following else []
        if after.wanted.enabled != before.wanted.enabled:
            events.append(own.changed(after, "disabled"))
        schedules.replace(before, after, *events)

    retry_conflicts(attempt)


def keep_agent(schedules: ScheduleRepository, event: AgentCreatedV1 | AgentDeletedV1) -> None:
    is_gone = isinstance(event, AgentDeletedV1)
    require_owner(event.user_id, schedules.owner_of(event.agent_id) or event.user_id)
    schedules.keep_agent(event.agent_id, event.user_id, deleted=is_gone)


def keep_authority(schedules: ScheduleRepository, event: UserChangedV1) -> None:
    def attempt() -> None:
        known = schedules.authority(event.user_id)
        if known and known.version >= event.aggregate_version:
            return
        now = Authority(
            scope="" if event.disabled else event.scope,
            quotas=event.quotas,
            version=event.aggregate_version,
        )
        schedules.keep_authority(event.user_id, known, now)

    retry_conflicts(attempt)


def _announced(schedules: ScheduleRepository, schedule: Schedule, firing: Firing) -> list[Event]:
    about: dict[str, Any] = {
        "user_id": schedule.user_id,
        "aggregate_id": schedule.id,
        "aggregate_version": schedule.version,
    }
    if firing.outcome == Outcome.STARTED:
        authority = schedules.authority(schedule.user_id) or schedule.authority
        wanted = schedule.wanted
        scheduled = ScheduledTaskV1(
            event_id=firing.id,
            schedule_id=schedule.id,
            task_type="agent_task",
            parameters={"agentId": wanted.agent_id, "description": wanted.description},
            due_at=firing.due_at,
            scope=authority.scope,
            quotas=authority.quotas,
            **about,
        )
        return [scheduled]
    if firing.outcome == Outcome.MISSED:
        missed = ErrorOccurredV1(
            component="events.schedules",
            error_type="ScheduleMissed",
            error_message="The schedule was due, but that was noticed too late",
            context={"scheduleId": schedule.id, "dueAt": firing.due_at},
            **about,
        )
        return [missed]
    return []
