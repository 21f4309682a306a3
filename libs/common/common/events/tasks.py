"""What the tasks service announces."""

from typing import Any, ClassVar

from pydantic import ConfigDict

from common.events.base import Event
from common.models import Model


class TaskCreatedV1(Event):
    """A user gave an agent a task; its execution is to be started, unless it is an agent's part of
    a collaboration, which sees to that itself."""

    source: ClassVar[str] = "realtime-agentic-api.tasks"

    task_id: str
    agent_id: str
    description: str
    collaboration_id: str | None = None


class TaskStartedV1(Event):
    """The agent began to work on the task."""

    source: ClassVar[str] = "realtime-agentic-api.tasks"

    task_id: str
    agent_id: str


class PlannedStep(Model):
    """One step of a task's plan; a long description is cut short."""

    model_config = ConfigDict(extra="ignore")

    type: str
    description: str


class ToolInvocation(Model):
    """One call of a tool, which a step made. Long parameters are left out and a long output is cut
    short: they are whole in the task's trace. The output is JSON, or why the call failed."""

    model_config = ConfigDict(extra="ignore")

    id: str
    step: str
    tool: str
    parameters: dict[str, Any] | None
    status: str
    output: str | None
    output_truncated: bool
    started_at: str
    completed_at: str | None
    duration_ms: int | None


class TaskProgressV1(Event):
    """The task was planned (current step 0, with its steps), one more of its steps ended, or one
    is still at work, which is told every few seconds; progress is 0 to 1. When a step ended, well
    or not, all calls of tools that it made are told."""

    source: ClassVar[str] = "realtime-agentic-api.tasks"

    task_id: str
    agent_id: str
    current_step: int
    total_steps: int
    progress: float
    step_description: str | None = None
    steps: list[PlannedStep] | None = None
    tool_invocations: list[ToolInvocation] | None = None


class TaskCompletedV1(Event):
    """The task ended well. A result above 64 KB is cut short here; the task has all of it."""

    source: ClassVar[str] = "realtime-agentic-api.tasks"

    task_id: str
    agent_id: str
    result: str
    result_truncated: bool = False


class TaskFailedV1(Event):
    """The task ended without a result, for the reason given."""

    source: ClassVar[str] = "realtime-agentic-api.tasks"

    task_id: str
    agent_id: str
    error_code: str
    error_message: str


class TaskCancelledV1(Event):
    """The task was stopped before it ended, by its owner or because its agent was deleted."""

    source: ClassVar[str] = "realtime-agentic-api.tasks"

    task_id: str
    agent_id: str


class TaskRetriedV1(Event):
    """A failed task is tried again, from its first step that is not complete."""

    source: ClassVar[str] = "realtime-agentic-api.tasks"

    task_id: str
    agent_id: str
    attempt: int


class TextGeneratedV1(Event):
    """What the model says in a step, while it says it: the text from the `offset`th character on.
    Parts may be missing or come again after a failure; the step's output is what counts."""

    source: ClassVar[str] = "realtime-agentic-api.tasks"

    task_id: str
    agent_id: str
    step: str
    offset: int
    text: str


class ErrorOccurredV1(Event):
    """Something failed and all retries are used up; the context says where, nothing secret."""

    source: ClassVar[str] = "realtime-agentic-api.errors"

    component: str
    error_type: str
    error_message: str
    context: dict[str, str]
