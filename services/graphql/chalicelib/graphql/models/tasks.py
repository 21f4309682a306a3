"""Tasks as their events tell of them.

Events come twice and in any order. Each part of a task keeps the version of the event that it was
last taken from, and only a newer one replaces it: whatever the order, the end is the same.
"""

from enum import StrEnum

from common.events.approvals import ApprovalRequestedV1
from common.events.base import Event
from common.events.tasks import (
    PlannedStep,
    TaskCancelledV1,
    TaskCompletedV1,
    TaskCreatedV1,
    TaskFailedV1,
    TaskProgressV1,
    TaskRetriedV1,
    TaskStartedV1,
)
from common.models import Model

MAX_APPROVALS = 100


class TaskStatus(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        return self not in (TaskStatus.PENDING, TaskStatus.RUNNING)


class StepStatus(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"


class TaskStep(Model):
    """`calls` is the key of its calls of tools, if it made any."""

    id: str
    type: str
    description: str
    status: StepStatus
    calls: str | None


class TaskError(Model):
    code: str
    message: str


class ToldOf(Model):
    """An approval or a step's calls that an event of a task told of, and in which version of it."""

    id: str
    version: int


class TaskProgress(Model):
    """How a task stands after an event of it."""

    task_id: str
    status: TaskStatus
    current_step: int
    total_steps: int
    progress: float
    result: str | None
    result_truncated: bool
    error: TaskError | None
    timestamp: str


class Task(Model):
    """Every event of a task tells its status; only some tell its description or its progress."""

    id: str
    agent_id: str
    user_id: str
    description: str | None = None
    status: TaskStatus = TaskStatus.PENDING
    current_step: int = 0
    total_steps: int = 0
    plan: tuple[PlannedStep, ...] = ()
    result: str | None = None
    result_truncated: bool = False
    error: TaskError | None = None
    attempt: int = 1
    approvals: tuple[ToldOf, ...] = ()
    calling: tuple[ToldOf, ...] = ()
    created_at: str | None = None
    completed_at: str | None = None
    status_version: int = 0
    progress_version: int = 0

    @property
    def version(self) -> int:
        """As an agent's."""
        heard_of = bool(self.created_at), bool(self.plan), self.attempt - 1
        told = sum(each.version for each in (*self.approvals, *self.calling))
        return self.status_version + self.progress_version + told + sum(heard_of)

    @property
    def visible(self) -> bool:
        return self.created_at is not None

    @property
    def steps(self) -> list[TaskStep]:
        """Empty until the task is planned."""
        return [self._step(index, step) for index, step in enumerate(self.plan)]

    def _step(self, index: int, step: PlannedStep) -> TaskStep:
        id = f"step-{index + 1:03d}"
        called = id in [each.id for each in self.calling]
        return TaskStep(
            id=id,
            type=step.type,
            description=step.description,
            status=self._status_of_step(index),
            calls=f"{self.id}#{id}" if called else None,
        )

    def progress(self, at: str) -> TaskProgress:
        is_done = self.status == TaskStatus.COMPLETED
        share = self.current_step / self.total_steps if self.total_steps else float(is_done)
        return TaskProgress(
            task_id=self.id,
            status=self.status,
            current_step=self.current_step,
            total_steps=self.total_steps,
            progress=share,
            result=self.result,
            result_truncated=self.result_truncated,
            error=self.error,
            timestamp=at,
        )

    def created(self, event: TaskCreatedV1) -> "Task":
        described = {"description": event.description, "created_at": event.timestamp}
        return self._now(TaskStatus.PENDING, event).model_copy(update=described)

    def started(self, event: TaskStartedV1) -> "Task":
        return self._now(TaskStatus.RUNNING, event)

    def progressed(self, event: TaskProgressV1) -> "Task":
        after = self._now(TaskStatus.RUNNING, event)
        if event.steps:
            after = after.model_copy(update={"plan": tuple(event.steps)})
        if event.tool_invocations:
            after = after._calling(event.tool_invocations[0].step, event.aggregate_version)
        if event.aggregate_version <= self.progress_version:
            return after
        return after.model_copy(
            update={
                "current_step": event.current_step,
                "total_steps": event.total_steps,
                "progress_version": event.aggregate_version,
            }
        )

    def completed(self, event: TaskCompletedV1) -> "Task":
        return self._now(
            TaskStatus.COMPLETED,
            event,
            result=event.result,
            result_truncated=event.result_truncated,
            completed_at=event.timestamp,
        )

    def failed(self, event: TaskFailedV1) -> "Task":
        error = TaskError(code=event.error_code, message=event.error_message)
        return self._now(TaskStatus.FAILED, event, error=error, completed_at=event.timestamp)

    def cancelled(self, event: TaskCancelledV1) -> "Task":
        return self._now(TaskStatus.CANCELLED, event, completed_at=event.timestamp)

    def retried(self, event: TaskRetriedV1) -> "Task":
        attempt = max(self.attempt, event.attempt)
        return self._now(TaskStatus.PENDING, event).model_copy(update={"attempt": attempt})

    def asking(self, event: ApprovalRequestedV1) -> "Task":
        """Only the last ones are kept in mind, in their order."""
        if event.approval_id in [each.id for each in self.approvals]:
            return self
        asked = ToldOf(id=event.approval_id, version=event.aggregate_version)
        known = sorted((*self.approvals, asked), key=lambda each: each.version)
        return self.model_copy(update={"approvals": tuple(known[-MAX_APPROVALS:])})

    def _calling(self, step: str, version: int) -> "Task":
        known = {each.id: each for each in self.calling}
        if step in known and known[step].version >= version:
            return self
        known[step] = ToldOf(id=step, version=version)
        ordered = sorted(known.values(), key=lambda each: each.id)
        return self.model_copy(update={"calling": tuple(ordered)})

    def _status_of_step(self, index: int) -> StepStatus:
        if index < self.current_step:
            return StepStatus.COMPLETED
        if self.status == TaskStatus.FAILED and index == self.current_step:
            return StepStatus.FAILED
        if self.status.is_terminal:
            return StepStatus.SKIPPED
        is_next = self.status == TaskStatus.RUNNING and index == self.current_step
        return StepStatus.RUNNING if is_next else StepStatus.PENDING

    def _now(self, status: TaskStatus, event: Event, **outcome: object) -> "Task":
        """A task that runs again after it failed has no outcome any more."""
        if event.aggregate_version <= self.status_version:
            return self
        none_yet: dict[str, object] = {
            "result": None,
            "result_truncated": False,
            "error": None,
            "completed_at": None,
        }
        now = {"status": status, "status_version": event.aggregate_version}
        return self.model_copy(update=none_yet | outcome | now)
