"""How far a task is, and how it ends with its last step."""

from collections.abc import Collection

from chalicelib.tasks.models import (
    MAX_OUTPUT_CHARS,
    StepRecord,
    StepStatus,
    Task,
    TaskFile,
    TaskStatus,
)
from chalicelib.tasks.models.journal import ToolCall
from chalicelib.tasks.use_cases.about import about, advanced
from chalicelib.tasks.use_cases.calls import told_of
from common.events.tasks import TaskCompletedV1, TaskProgressV1, ToolInvocation

MAX_RESULT_CHARS_IN_EVENT = 20_000
"""Escaped in JSON a character takes up to six bytes, and an event may have 256 KB."""
Told = list[TaskProgressV1 | TaskCompletedV1]


def ended(
    file: TaskFile, record: StepRecord, calls: Collection[ToolCall] = ()
) -> tuple[TaskFile, Told]:
    """The file once the step that made these calls has this record, and what is told of it: with
    its last step, which always is a response, the task is completed."""
    plan, index = file.agreed_plan, record.index
    after = advanced(file.task, current_step=index + 1, tokens=file.tokens_with(record))
    is_done = record.status == StepStatus.COMPLETED
    description = plan.steps[index].description if is_done else None
    told: Told = [progress_of(after, description, told_of(index, calls))]
    if index == len(plan.steps) - 1:
        after, completed = _completed(after, record)
        told.append(completed)
    return TaskFile(task=after, plan=plan, records=file.records | {index: record}), told


def _completed(task: Task, last: StepRecord) -> tuple[Task, TaskCompletedV1]:
    result = last.output or ""
    shown, now = result[:MAX_RESULT_CHARS_IN_EVENT], last.completed_at
    after = advanced(task, status=TaskStatus.COMPLETED, result=shown, completed_at=now)
    cut = len(shown) < len(result)
    return after, TaskCompletedV1(result=shown, result_truncated=cut, timestamp=now, **about(after))


def progress_of(
    task: Task, step_description: str | None, calls: list[ToolInvocation] | None = None
) -> TaskProgressV1:
    return TaskProgressV1(
        current_step=task.current_step,
        total_steps=task.total_steps,
        progress=task.current_step / task.total_steps,
        step_description=step_description,
        tool_invocations=calls,
        **about(task),
    )


def bounded(output: str) -> str:
    if len(output) <= MAX_OUTPUT_CHARS:
        return output
    return output[:MAX_OUTPUT_CHARS] + f" … [cut, {len(output)} characters in all]"
