"""What an agent thought and did in a task, as its owner reads it."""

from typing import Any, Literal

from chalicelib.tasks.models.details import Decision
from chalicelib.tasks.models.journal import CallStatus, ToolCall
from chalicelib.tasks.models.plans import StepStatus
from common.errors import Conflict, NotFound
from common.models import Model
from pydantic import Field


class ToolInvocation(Model):
    """One call of a tool; `output` is the JSON it returned, or why it failed."""

    id: str
    tool: str
    parameters: dict[str, Any]
    status: CallStatus
    output: str | None
    started_at: str
    completed_at: str | None
    duration_ms: int | None

    @classmethod
    def of(cls, call: ToolCall) -> "ToolInvocation":
        return cls(id=call.key, **call.model_dump(exclude={"key", "step"}))


class TracedStep(Model):
    """`thoughts` are what the model said, turn by turn."""

    id: str
    type: str
    description: str
    status: StepStatus
    thoughts: list[str]
    decision: Decision | None
    tool_invocations: list[ToolInvocation]


class Trace(Model):
    """The plan's own thoughts, then the steps in their order."""

    task_id: str
    planning: list[str]
    steps: list[TracedStep]


class SettleRequest(Model):
    """What a person found out about a tool call of which nobody knew whether it happened.
    `not_called` lets it be called when the task is retried; the others say how it ended."""

    outcome: Literal["succeeded", "failed", "not_called"]
    output: Any = Field(default=None, description="What the tool returned, or why it failed")


class ToolCallNotFound(NotFound):
    def __init__(self, call_id: str) -> None:
        super().__init__(f"Tool call {call_id} does not exist", callId=call_id)


class ToolCallSettled(Conflict):
    def __init__(self, call: ToolCall) -> None:
        super().__init__(f"The call has {call.status} already", status=call.status.value)
