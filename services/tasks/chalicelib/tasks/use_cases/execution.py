"""What the TaskExecution state machine does, one function per state; the steps are in `steps`.

Every function may run again after a crash: what is on record is not done twice. The answer's
`outcome` tells the machine where to go; exceptions are left to failures of the infrastructure,
which the machine retries.
"""

import logging
from typing import TYPE_CHECKING, Any

from chalicelib.tasks.models import Task, TaskPlan, TaskStatus
from chalicelib.tasks.models.failures import AgentFailed
from chalicelib.tasks.repository import Store
from chalicelib.tasks.use_cases import approvals
from chalicelib.tasks.use_cases.about import about, advanced
from chalicelib.tasks.use_cases.at_work import begin, progress_of, task_error, work_of
from chalicelib.tasks.work import Deadline
from common.clock import timestamp
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
AT_ONCE = 5
"""Steps that one function carries out: each group costs three transitions of the machine and the
start of a function. A group whose time runs out is continued by the next function."""
Answer = dict[str, Any]
log = logging.getLogger(__name__)


def initialize_task(store: Store, task_id: str) -> Answer:
    before = begin(store.tasks.get(task_id))
    if before.status == TaskStatus.PENDING:
        now = timestamp()
        after = advanced(before, status=TaskStatus.RUNNING, started_at=now)
        store.tasks.replace(before, after, TaskStartedV1(timestamp=now, **about(after)))
    return {"outcome": "stopped" if before.status.is_terminal else "running"}


def plan_task(store: Store, runtime: "Runtime", task_id: str, deadline: Deadline) -> Answer:
    """Answers with the steps' indices, in groups; a plan that exists already is kept as it is."""
    work = work_of(store, task_id)
    if work is None:
        return {"outcome": "stopped", "steps": []}
    if work.file.task.error:
        return {"outcome": "failed", "steps": []}
    plan = work.file.plan
    if plan is None:
        journal = store.journals.open(task_id, "plan")
        try:
            plan = _usable(runtime.plan(work.job(journal, deadline), work.file.task))
        except AgentFailed as failure:
            _record_failure(store, work.file.task, failure)
            return {"outcome": "failed", "steps": []}
        before = work.file.task
        after = advanced(before, total_steps=len(plan.steps), tokens=journal.tokens)
        store.tasks.add_plan(before, after, plan, _planned(after, plan))
    return {"outcome": "planned", "steps": _groups(len(plan.steps))}


def _groups(steps: int) -> list[list[int]]:
    return [list(range(first, min(first + AT_ONCE, steps))) for first in range(0, steps, AT_ONCE)]


def complete_task(store: Store, task_id: str) -> Answer:
    """The result is the output of the last step, which always is a response."""
    file = store.tasks.file(task_id)
    before = begin(file.task)
    if before.status.is_terminal:
        return {"outcome": "stopped"}
    if before.error:
        return {"outcome": "failed"}
    result = file.records[len(file.agreed_plan.steps) - 1].output or ""
    shown = result[:MAX_RESULT_CHARS_IN_EVENT]
    now = timestamp()
    after = advanced(before, status=TaskStatus.COMPLETED, result=shown, completed_at=now)
    completed = TaskCompletedV1(
        result=shown, result_truncated=len(shown) < len(result), timestamp=now, **about(after)
    )
    store.tasks.replace(before, after, completed)
    return {"outcome": "completed"}


def handle_error(store: Store, task_id: str, attempt: int) -> Answer:
    """Ends the task as failed, once; says why from what is on record, else that it broke. What an
    earlier attempt left behind says nothing about this one."""
    before = begin(store.tasks.get(task_id))
    if before.status.is_terminal or before.attempt != attempt:
        return {"outcome": "stopped"}
    broken = AgentFailed("EXECUTION_FAILED", "The execution broke off; retrying may help")
    error = before.error or task_error(broken)
    now = timestamp()
    after = advanced(before, status=TaskStatus.FAILED, error=error, completed_at=now)
    failed = TaskFailedV1(
        error_code=error.code, error_message=error.message, timestamp=now, **about(after)
    )
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
    store.tasks.replace(before, after, failed, occurred)
    approvals.void(store, after)
    return {"outcome": "failed"}


def _usable(plan: TaskPlan) -> TaskPlan:
    whole = plan.ending_in_a_response()
    return whole if whole.is_storable else TaskPlan.to_answer_at_once()


def _record_failure(store: Store, task: Task, failure: AgentFailed) -> None:
    log.warning("the agent failed", extra={"taskId": task.id, "code": failure.code})
    store.tasks.replace(task, advanced(task, error=task_error(failure)))


def _planned(task: Task, plan: TaskPlan) -> TaskProgressV1:
    steps = [
        PlannedStep(type=step.type, description=step.description[:MAX_STEP_CHARS_IN_EVENT])
        for step in plan.steps
    ]
    return progress_of(task, None).model_copy(update={"steps": steps})
