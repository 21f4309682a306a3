"""The values of the tasks service."""

from chalicelib.tasks.models.agents import AgentNotFound, AgentSnapshot
from chalicelib.tasks.models.details import Decision
from chalicelib.tasks.models.plans import MAX_STEPS, PlannedStep, StepStatus, TaskPlan, step_id
from chalicelib.tasks.models.tasks import (
    MAX_OUTPUT_CHARS,
    CreateTaskRequest,
    StepRecord,
    Task,
    TaskEnded,
    TaskError,
    TaskFile,
    TaskNotFailed,
    TaskNotFound,
    TaskStatus,
)
from chalicelib.tasks.models.usage import AgentUsage, Usage, Used

__all__ = [
    "MAX_OUTPUT_CHARS",
    "MAX_STEPS",
    "AgentNotFound",
    "AgentSnapshot",
    "AgentUsage",
    "CreateTaskRequest",
    "Decision",
    "PlannedStep",
    "StepRecord",
    "StepStatus",
    "Task",
    "TaskEnded",
    "TaskError",
    "TaskFile",
    "TaskNotFailed",
    "TaskNotFound",
    "TaskPlan",
    "TaskStatus",
    "Usage",
    "Used",
    "step_id",
]
