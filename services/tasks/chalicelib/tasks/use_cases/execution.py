"""What the TaskExecution state machine does, one function per state.

Every function may run again after a crash: what is on record is not done twice. The answer's
`outcome` tells the machine where to go; exceptions are left to failures of the infrastructure,
which the machine retries.
"""

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from chalicelib.tasks.models import (
    MAX_OUTPUT_CHARS,
    AgentSnapshot,
    StepRecord,
    StepStatus,
    Task,
    TaskError,
    TaskFile,
    TaskPlan,
    TaskStatus,
)
from chalicelib.tasks.repository import TaskRepository
from chalicelib.tasks.use_cases.tasks import about, cancel
from common.clock import timestamp
from common.context import correlation_id
from common.events.tasks import (
    ErrorOccurredV1,
    PlannedStep,
    TaskCompletedV1,
    TaskFailedV1,
    TaskProgressV1,
    TaskStartedV1,
)

if TYPE_CHECKING:
    from chalicelib.tasks.runtime import Runtime

MAX_RESULT_CHARS_IN_EVENT = 20_000
"""Escaped in JSON a character takes up to six bytes, and an event may have 256 KB."""
MAX_STEP_CHARS_IN_EVENT = 150
Answer = dict[str, Any]
log = logging.getLogger(__name__)


class AgentFailed(Exception):
    """The agent could not do what it was asked, for a reason that its owner may read."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Work(NamedTuple):
    """What a state needs to do its part."""

    file: TaskFile
    agent: AgentSnapshot


def initialize_task(tasks: TaskRepository, task_id: str) -> Answer:
    before = _begin(tasks.get(task_id))
    if before.status == TaskStatus.PENDING:
        after = before.model_copy(
            update={
                "status": TaskStatus.RUNNING,
                "started_at": (now := timestamp()),
                "version": before.version + 1,
            }
        )
        tasks.replace(before, after, TaskStartedV1(timestamp=now, **about(after)))
    return {"outcome": "stopped" if before.status.is_terminal else "running"}


def plan_task(tasks: TaskRepository, runtime: "Runtime", task_id: str) -> Answer:
    """Answers with the steps' indices; a plan that exists already is kept as it is."""
    work = _work(tasks, task_id)
    if work is None:
        return {"outcome": "stopped", "steps": []}
    if work.file.task.error:
        return {"outcome": "failed", "steps": []}
    plan = work.file.plan
    if plan is None:
        try:
            plan = _usable(runtime.plan(work.agent, work.file.task))
        except AgentFailed as failure:
            _record_failure(tasks, work.file.task, failure)
            return {"outcome": "failed", "steps": []}
        before = work.file.task
        after = _advanced(before, total_steps=len(plan.steps))
        tasks.add_plan(before, after, plan, _planned(after, plan))
    return {"outcome": "planned", "steps": list(range(len(plan.steps)))}


def execute_step(tasks: TaskRepository, runtime: "Runtime", task_id: str, index: int) -> Answer:
    work = _work(tasks, task_id)
    if work is None or work.file.task.error:
        return {"outcome": "skipped"}
    if index in work.file.records:
        return {"outcome": "completed"}
    started_at, task, plan = timestamp(), work.file.task, _plan(work.file)
    try:
        output = runtime.run_step(work.agent, work.file, index)
    except AgentFailed as failure:
        record = _record(index, StepStatus.FAILED, failure.message, started_at)
        tasks.add_record(task, _advanced(task, error=_task_error(failure)), record)
        return {"outcome": "failed"}
    record = _record(index, StepStatus.COMPLETED, _bounded(output), started_at)
    after = _advanced(task, current_step=index + 1)
    tasks.add_record(task, after, record, _progress(after, plan.steps[index].description))
    return {"outcome": "completed"}


def complete_task(tasks: TaskRepository, task_id: str) -> Answer:
    """The result is the output of the last step, which always is a response."""
    file = tasks.file(task_id)
    before = _begin(file.task)
    if before.status.is_terminal:
        return {"outcome": "stopped"}
    if before.error:
        return {"outcome": "failed"}
    result = file.records[len(_plan(file).steps) - 1].output or ""
    shown = result[:MAX_RESULT_CHARS_IN_EVENT]
    now = timestamp()
    after = _advanced(before, status=TaskStatus.COMPLETED, result=shown, completed_at=now)
    completed = TaskCompletedV1(
        result=shown, result_truncated=len(shown) < len(result), timestamp=now, **about(after)
    )
    tasks.replace(before, after, completed)
    return {"outcome": "completed"}


def handle_error(tasks: TaskRepository, task_id: str) -> Answer:
    """Ends the task as failed, once; says why from what is on record, else that it broke."""
    before = _begin(tasks.get(task_id))
    if before.status.is_terminal:
        return {"outcome": "stopped"}
    broken = AgentFailed("EXECUTION_FAILED", "The execution broke off; retrying may help")
    error = before.error or _task_error(broken)
    after = _advanced(before, status=TaskStatus.FAILED, error=error, completed_at=timestamp())
    failed = TaskFailedV1(error_code=error.code, error_message=error.message, **about(after))
    occurred = ErrorOccurredV1(
        component="tasks.execution",
        error_type=error.code,
        error_message=error.message,
        context={"taskId": after.id, "agentId": after.agent_id},
        user_id=after.user_id,
        aggregate_id=after.id,
        aggregate_version=after.version,
        correlation_id=after.correlation_id,
    )
    tasks.replace(before, after, failed, occurred)
    return {"outcome": "failed"}


def _begin(task: Task) -> Task:
    """Everything logged from here on belongs to the request that created the task."""
    correlation_id.set(task.correlation_id)
    return task


def _usable(plan: TaskPlan) -> TaskPlan:
    whole = plan.ending_in_a_response()
    return whole if whole.is_storable else TaskPlan.to_answer_at_once()


def _work(tasks: TaskRepository, task_id: str) -> Work | None:
    """None if there is nothing left to do: the task has ended, or its agent is gone."""
    file = tasks.file(task_id)
    if _begin(file.task).status.is_terminal:
        return None
    agent = tasks.agent(file.task.agent_id)
    if agent is None or agent.deleted:
        cancel(tasks, file.task)
        return None
    return Work(file, agent)


def _record_failure(tasks: TaskRepository, task: Task, failure: AgentFailed) -> None:
    log.warning("the agent failed", extra={"taskId": task.id, "code": failure.code})
    tasks.replace(task, _advanced(task, error=_task_error(failure)))


def _task_error(failure: AgentFailed) -> TaskError:
    return TaskError(code=failure.code, message=failure.message, timestamp=timestamp())


def _advanced(task: Task, **changes: object) -> Task:
    return task.model_copy(update={**changes, "version": task.version + 1})


def _progress(task: Task, step_description: str | None) -> TaskProgressV1:
    return TaskProgressV1(
        current_step=task.current_step,
        total_steps=task.total_steps,
        progress=task.current_step / task.total_steps,
        step_description=step_description,
        **about(task),
    )


def _planned(task: Task, plan: TaskPlan) -> TaskProgressV1:
    steps = [
        PlannedStep(type=step.type, description=step.description[:MAX_STEP_CHARS_IN_EVENT])
        for step in plan.steps
    ]
    return _progress(task, None).model_copy(update={"steps": steps})


def _record(index: int, status: StepStatus, output: str, started_at: str) -> StepRecord:
    return StepRecord(
        index=index,
        status=status,
        output=output,
        started_at=started_at,
        completed_at=timestamp(),
    )


def _bounded(output: str) -> str:
    if len(output) <= MAX_OUTPUT_CHARS:
        return output
    return output[:MAX_OUTPUT_CHARS] + f" … [cut, {len(output)} characters in all]"


def _plan(file: TaskFile) -> TaskPlan:
    assert file.plan is not None, "the machine plans before it executes"
    return file.plan
