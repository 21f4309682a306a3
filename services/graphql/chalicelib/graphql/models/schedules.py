"""Schedules as their events tell of them; the newest one counts, in whatever order they come."""

from enum import StrEnum

from common.events.schedules import ScheduleChangedV1, ScheduledTaskV1
from common.models import Model


class OnOverlap(StrEnum):
    SKIP = "skip"
    QUEUE = "queue"
    PARALLEL = "parallel"


class ScheduledRun(Model):
    """A time at which it was due, and the task that it gave."""

    due_at: str
    task_id: str


class Schedule(Model):
    """A deleted schedule stays as a tombstone, so that a late event does not bring it back."""

    id: str
    user_id: str
    agent_id: str = ""
    description: str | None = None
    at: str | None = None
    rate: str | None = None
    cron: str | None = None
    timezone: str = "UTC"
    starts_at: str | None = None
    ends_at: str | None = None
    enabled: bool = False
    on_overlap: OnOverlap = OnOverlap.SKIP
    created_at: str | None = None
    updated_at: str | None = None
    last_run: ScheduledRun | None = None
    changed_version: int = 0
    run_version: int = 0
    deleted: bool = False

    @property
    def version(self) -> int:
        """Grows with every change, and depends on what was heard of, not on the order."""
        return self.changed_version + self.run_version

    @property
    def visible(self) -> bool:
        return not self.deleted and self.created_at is not None

    def changed(self, event: ScheduleChangedV1) -> "Schedule":
        if self.deleted or event.aggregate_version <= self.changed_version:
            return self
        if event.state == "deleted":
            version = event.aggregate_version
            return Schedule(id=self.id, user_id=self.user_id, deleted=True, changed_version=version)
        return self.model_copy(
            update={
                "agent_id": event.agent_id,
                "description": event.description,
                "at": event.at,
                "rate": event.rate,
                "cron": event.cron,
                "timezone": event.timezone or "UTC",
                "starts_at": event.starts_at,
                "ends_at": event.ends_at,
                "enabled": event.state == "enabled",
                "on_overlap": OnOverlap(event.on_overlap or OnOverlap.SKIP),
                "created_at": event.created_at,
                "updated_at": event.updated_at,
                "changed_version": event.aggregate_version,
            }
        )

    def ran(self, event: ScheduledTaskV1) -> "Schedule":
        if self.deleted or event.aggregate_version <= self.run_version:
            return self
        run = ScheduledRun(due_at=event.due_at, task_id=event.event_id)
        return self.model_copy(update={"last_run": run, "run_version": event.aggregate_version})
