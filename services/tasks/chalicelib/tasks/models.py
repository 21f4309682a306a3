"""Tasks, their plans and steps, and what the tasks service knows of agents."""

from enum import StrEnum
from typing import Any, Literal

from common.errors import Conflict, NotFound
from common.models import Model
from common.quotas import DEFAULT_QUOTAS
from pydantic import ConfigDict, Field

MAX_DESCRIPTION = 10_000
MAX_STEPS = 200
MAX_PLAN_CHARS = 80_000
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


class StepStatus(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"


class PlannedStep(Model):
    """One step of the plan."""

    model_config = ConfigDict(extra="ignore")

    type: Literal["reasoning", "tool_call", "response"] = Field(
        description="reasoning: think about something; tool_call: use a tool; "
        "response: write the answer for the user"
    )
    description: str = Field(min_length=1, max_length=2000, description="What to do, precisely")
    tool: str | None = Field(default=None, description="tool_call only: the tool's name")
    parameters: dict[str, Any] | None = Field(
        default=None,
        description="tool_call only: the tool's parameters, if they are known already; "
        "null if they depend on the result of an earlier step",
    )
    answer: str | None = Field(
        default=None,
        description="response only, and only if it is the plan's single step and needs no tool "
        "and no reasoning: the complete answer",
    )


class TaskPlan(Model):
    """The steps that carry the task out, in order; the last one is a response."""

    model_config = ConfigDict(extra="ignore")

    steps: list[PlannedStep] = Field(min_length=1, max_length=MAX_STEPS)

    @classmethod
    def to_answer_at_once(cls) -> "TaskPlan":
        return cls(steps=[PlannedStep(type="response", description="Answer the task")])

    @property
    def is_storable(self) -> bool:
        """In one row: DynamoDB's limit is 400 KB, and a character has up to four bytes."""
        return len(self.model_dump_json()) <= MAX_PLAN_CHARS

    def ending_in_a_response(self) -> "TaskPlan":
        if self.steps[-1].type == "response":
            return self
        last = PlannedStep(type="response", description="Answer the task from the results")
        return TaskPlan(steps=[*self.steps[: MAX_STEPS - 1], last])


class StepRecord(Model):
    """What a step that was executed left behind. Steps without a record have not ended."""

    index: int
    status: StepStatus
    output: str | None = None
    started_at: str
    completed_at: str


class TaskError(Model):
    code: str
    message: str
    timestamp: str


class Task(Model):
    """`current_step` counts the steps that have ended; `attempt` the executions started.
    `tokens_per_day` is the owner's quota when they gave the task: nobody can ask for it later."""

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
    version: int = Field(default=1, exclude=True)
    correlation_id: str | None = Field(default=None, exclude=True)
    tokens_per_day: int = Field(default=DEFAULT_QUOTAS.tokens_per_day, exclude=True)


class TaskFile(Model):
    """A task with everything that is on record about it."""

    task: Task
    plan: TaskPlan | None = None
    records: dict[int, StepRecord] = Field(default_factory=dict)

    def wire(self) -> dict[str, object]:
        """The task as clients see it: its plan with each step's state and output."""
        planned = self.plan.steps if self.plan else []
        steps = [self._step(index, step) for index, step in enumerate(planned)]
        whole = {"plan": {"steps": steps} if self.plan else None, "result": self.result}
        return self.task.wire() | whole

    @property
    def result(self) -> str | None:
        """The output of the last step, whatever its length."""
        if self.task.status != TaskStatus.COMPLETED or not self.plan:
            return None
        return self.records[len(self.plan.steps) - 1].output

    def _step(self, index: int, step: PlannedStep) -> dict[str, object]:
        record = self.records.get(index)
        return {
            "id": step_id(index),
            "type": step.type,
            "description": step.description,
            "input": {"tool": step.tool, "parameters": step.parameters} if step.tool else None,
            "output": record.output if record else None,
            "status": record.status if record else self._status_without_record(index),
            "startedAt": record.started_at if record else None,
            "completedAt": record.completed_at if record else None,
        }

    def _status_without_record(self, index: int) -> StepStatus:
        if self.task.status.is_terminal or self.task.error:
            return StepStatus.SKIPPED
        return StepStatus.RUNNING if index == self.task.current_step else StepStatus.PENDING


class AgentSnapshot(Model):
    """The tasks service's own copy of an agent, kept from the agents service's events."""

    id: str
    user_id: str
    configuration: dict[str, Any]
    version: int
    deleted: bool = False


class Used(Model):
    """How much of a quota is used."""

    used: int
    limit: int


class Usage(Model):
    """`tokens_per_day` is about the day that ends at `resets_at`."""

    active_tasks: Used
    tokens_per_day: Used
    resets_at: str


class CreateTaskRequest(Model):
    description: str = Field(min_length=1, max_length=MAX_DESCRIPTION, pattern=r"\S")


class AgentNotFound(NotFound):
    def __init__(self, agent_id: str) -> None:
        super().__init__(f"Agent {agent_id} does not exist", agentId=agent_id)


class TaskNotFound(NotFound):
    def __init__(self, task_id: str) -> None:
        super().__init__(f"Task {task_id} does not exist", taskId=task_id)


class TaskEnded(Conflict):
    def __init__(self, task: Task) -> None:
        super().__init__(f"The task is {task.status} already", status=task.status.value)


def step_id(index: int) -> str:
    return f"step-{index + 1:03d}"
