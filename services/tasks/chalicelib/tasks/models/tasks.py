"""Tasks, and what is on record of their steps."""

from enum import StrEnum

from chalicelib.tasks.models.details import Decision, PlanDetails, StepDetails, StepInput
from chalicelib.tasks.models.plans import PlannedStep, StepStatus, TaskPlan, step_id
from common.errors import Conflict, NotFound
from common.models import Model
from common.quotas import DEFAULT_QUOTAS
from pydantic import Field

MAX_DESCRIPTION = 10_000
MAX_OUTPUT_CHARS = 1_000_000


class TaskStatus(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        return self not in (TaskStatus.PENDING, TaskStatus.RUNNING)


class StepRecord(Model):
    """What a step that was executed left behind. Steps without a record have not ended."""

    index: int
    status: StepStatus
    output: str | None = None
    decision: Decision | None = None
    tokens: int = 0
    started_at: str
    completed_at: str


class TaskError(Model):
    code: str
    message: str
    timestamp: str


class Task(Model):
    """`current_step` counts the steps that have ended; `attempt` the executions started.
    `tokens_per_day` is the owner's quota when they gave the task: nobody can ask for it later.
    `waiting_for` is the approval without which it does not go on, `messages` what other agents told
    this one before it began."""

    id: str
    agent_id: str
    user_id: str
    description: str
    status: TaskStatus = TaskStatus.PENDING
    current_step: int = 0
    total_steps: int = 0
    result: str | None = Field(default=None, description="Cut if it is long; the file has all")
    error: TaskError | None = None
    created_at: str
    started_at: str | None = None
    completed_at: str | None = None
    attempt: int = 1
    tokens: int = Field(default=0, description="Model tokens of the plan and the steps that ended")
    waiting_for: str | None = None
    version: int = Field(default=1, exclude=True)
    correlation_id: str | None = Field(default=None, exclude=True)
    traceparent: str | None = Field(default=None, exclude=True)
    tokens_per_day: int = Field(default=DEFAULT_QUOTAS.tokens_per_day, exclude=True)
    messages: str | None = Field(default=None, exclude=True)


class TaskDetails(Task):
    """A task with its plan, and its whole result."""

    plan: PlanDetails | None


class TaskFile(Model):
    """A task with everything that is on record about it."""

    task: Task
    plan: TaskPlan | None = None
    records: dict[int, StepRecord] = Field(default_factory=dict)

    @property
    def shown(self) -> TaskDetails:
        return TaskDetails.model_construct(
            **dict(self.task) | {"plan": self._plan_details, "result": self.result}
        )

    @property
    def _plan_details(self) -> PlanDetails | None:
        if self.plan is None:
            return None
        steps = [self._step(index, step) for index, step in enumerate(self.plan.steps)]
        return PlanDetails.model_construct(version=self.plan.version, steps=steps)

    @property
    def result(self) -> str | None:
        """The output of the last step, whatever its length."""
        if self.task.status != TaskStatus.COMPLETED or not self.plan:
            return None
        return self.records[len(self.plan.steps) - 1].output

    def _step(self, index: int, step: PlannedStep) -> StepDetails:
        record = self._record(index)
        return StepDetails.model_construct(
            id=step_id(index),
            type=step.type,
            description=step.description,
            input=StepInput(tool=step.tool, parameters=step.parameters) if step.tool else None,
            options=step.options or None,
            only_if=step.only_if,
            output=record.output if record else None,
            decision=record.decision if record else None,
            status=record.status if record else self._status_without_record(index),
            started_at=record.started_at if record else None,
            completed_at=record.completed_at if record else None,
        )

    def _record(self, index: int) -> StepRecord | None:
        """What failed in an earlier attempt is as if it had not ended."""
        record = self.records.get(index)
        tried_again = not (self.task.status.is_terminal or self.task.error)
        return None if record and record.status == StepStatus.FAILED and tried_again else record

    def _status_without_record(self, index: int) -> StepStatus:
        if self.task.status.is_terminal or self.task.error:
            return StepStatus.SKIPPED
        if index != self.task.current_step:
            return StepStatus.PENDING
        return StepStatus.WAITING if self.task.waiting_for else StepStatus.RUNNING

    @property
    def agreed_plan(self) -> TaskPlan:
        """Where there must be one: the machine plans before it executes."""
        assert self.plan is not None
        return self.plan

    def tokens_with(self, record: StepRecord) -> int:
        """The task's tokens once the step has this record. What an attempt before it took is in
        the journal still, and so in the record: it is not counted twice."""
        before = self.records.get(record.index)
        return self.task.tokens + record.tokens - (before.tokens if before else 0)

    def has_ended(self, index: int) -> bool:
        """Whether the step is done with; one that failed may be tried again."""
        record = self.records.get(index)
        return record is not None and record.status != StepStatus.FAILED

    @property
    def steps_to_do(self) -> list[int]:
        return [i for i in range(len(self.agreed_plan.steps)) if not self.has_ended(i)]

    def chosen(self, step: PlannedStep) -> bool:
        """Whether the decisions so far lead to this step."""
        if step.only_if is None:
            return True
        record = self.records.get(step.only_if.decision - 1)
        decision = record.decision if record else None
        return decision is not None and decision.option == step.only_if.option


class CreateTaskRequest(Model):
    description: str = Field(min_length=1, max_length=MAX_DESCRIPTION, pattern=r"\S")


class TaskNotFound(NotFound):
    def __init__(self, task_id: str) -> None:
        super().__init__(f"Task {task_id} does not exist", taskId=task_id)


class TaskEnded(Conflict):
    def __init__(self, task: Task) -> None:
        super().__init__(f"The task is {task.status} already", status=task.status.value)


class TaskNotFailed(Conflict):
    def __init__(self, task: Task) -> None:
        super().__init__("The task has not failed", status=task.status.value)
