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
    """A schedule was made or changed, and is enabled or disabled now, or it was deleted."""

    source: ClassVar[str] = "realtime-agentic-api.scheduler"

    schedule_id: str
    agent_id: str
    state: str
