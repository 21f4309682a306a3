"""What every change of a task has in common."""

from typing import Any

from chalicelib.tasks.models import Task


def about(task: Task) -> dict[str, Any]:
    """The fields that every event of a task carries."""
    return {
        "task_id": task.id,
        "agent_id": task.agent_id,
        "user_id": task.user_id,
        "aggregate_id": task.id,
        "aggregate_version": task.version,
        "correlation_id": task.correlation_id,
    }


def advanced(task: Task, **changes: object) -> Task:
    """The task's next version."""
    return task.model_copy(update={**changes, "version": task.version + 1})
