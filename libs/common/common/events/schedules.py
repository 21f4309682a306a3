"""What schedules lead to."""

from typing import Any, ClassVar

from common.events.base import Event


class ScheduledTaskV1(Event):
    """A schedule was due at this time; its task is to be created, with the event's id as its own,
    if `scope` and `quotas`, which are the owner's, allow it."""

    source: ClassVar[str] = "realtime-agentic-api.scheduler"

    schedule_id: str
    task_type: str
    parameters: dict[str, Any]
    due_at: str
    scope: str
    quotas: dict[str, int]


class ScheduleChangedV1(Event):
    """A schedule was made or changed, and is enabled or disabled now, or it was deleted. Unless it
    was, this says what it is: one of `at`, `rate` and `cron` says when it is due."""

    source: ClassVar[str] = "realtime-agentic-api.scheduler"

    schedule_id: str
    agent_id: str
    state: str
    description: str | None = None
    at: str | None = None
    rate: str | None = None
    cron: str | None = None
    timezone: str | None = None
    starts_at: str | None = None
    ends_at: str | None = None
    on_overlap: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
