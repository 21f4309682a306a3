"""What the TaskExecution state machine does, one function per state; the steps are in `steps`.

Every function may run again after a crash: what is on record is not done twice. The answer's
`outcome` tells the machine where to go; exceptions are left to failures of the infrastructure,
which the machine retries.
"""

import logging
from typing import TYPE_CHECKING, Any

from chalicelib.tasks.models import StepRecord, StepStatus, Task, TaskFile, TaskPlan, TaskStatus
from chalicelib.tasks.models.failures import AgentFailed
from chalicelib.tasks.repository import Journal, Store
from chalicelib.tasks.use_cases import approvals
from chalicelib.tasks.use_cases.about import about, advanced
from chalicelib.tasks.use_cases.at_work import Work, begin, task_error, work_of
from chalicelib.tasks.use_cases.inbox import deliver_messages
from chalicelib.tasks.use_cases.progress import Told, bounded, ended, progress_of
from chalicelib.tasks.work import Deadline
from common.clock import timestamp
from common.events.tasks import ErrorOccurredV1, PlannedStep, TaskFailedV1, TaskStartedV1

if TYPE_CHECKING:
    from chalicelib.tasks.runtime import Runtime

MAX_STEP_CHARS_IN_EVENT = 150
AT_ONCE = 5
"""Steps that one function carries out: each group costs three transitions of the machine and the
start of a function. A group whose time runs out is continued by the next function."""
Answer = dict[str, Any]
log = logging.getLogger(__name__)


def initialize_task(store: Store, task_id: str) -> Answer:
    before = begin(deliver_messages(store, task_id))
    if before.status == TaskStatus.PENDING:
        now = timestamp()
        after = advanced(before, status=TaskStatus.RUNNING, started_at=now)
        store.tasks.replace(before, after, TaskStartedV1(timestamp=now, **about(after)))
    return {"outcome": "stopped" if before.status.is_terminal else "running"}


def plan_task(store: Store, runtime: "Runtime", task_id: str, deadline: Deadline) -> Answer:
    """Answers with the indices of the steps that have not ended, in groups; a plan that exists
    already is kept as it is."""
    work = work_of(store, task_id)
    if work is None:
        return {"outcome": "stopped", "steps": []}
    if work.file.task.error:
        return {"outcome": "failed", "steps": []}
    file = work.file
    if file.plan is None:
        journal = store.journals.open(task_id, "plan")
        started_at = timestamp()
        try:
            plan = _usable(runtime.plan(work.job(journal, deadline), file.task))
        except AgentFailed as failure:
            _record_failure(store, file.task, failure)
            return {"outcome": "failed", "steps": []}
        file = _keep_plan(store, work, plan, journal, started_at)
    return {"outcome": "planned", "steps": _groups(file.steps_to_do)}


def _keep_plan(
    store: Store, work: Work, plan: TaskPlan, journal: Journal, started_at: str
) -> TaskFile:
    """If the plan is the answer already, that is its only step's, and the task ends with it."""
    before = work.file.task
    after = advanced(before, total_steps=len(plan.steps), tokens=journal.tokens)
    file = TaskFile(task=after, plan=plan)
    told: Told = [progress_of(after, None)]
    if plan.answer and not work.agent.asks_before_step(plan.steps[0]):
        record = StepRecord(
            index=0,
            status=StepStatus.COMPLETED,
            output=bounded(plan.answer),
            started_at=started_at,
            completed_at=timestamp(),
        )
        file, told = ended(file, record)
    told[0] = told[0].model_copy(update={"steps": _shown(plan)})
    store.tasks.add_plan(before, file, *told)
    return file


def _groups(steps: list[int]) -> list[list[int]]:
    return [steps[first : first + AT_ONCE] for first in range(0, len(steps), AT_ONCE)]


def complete_task(store: Store, task_id: str) -> Answer:
    """Tells how the task ended: with its last step, unless something failed."""
    task = begin(store.tasks.get(task_id))
    if task.status == TaskStatus.COMPLETED:
        return {"outcome": "completed"}
    return {"outcome": "stopped" if task.status.is_terminal else "failed"}


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


def _shown(plan: TaskPlan) -> list[PlannedStep]:
    return [
        PlannedStep(type=step.type, description=step.description[:MAX_STEP_CHARS_IN_EVENT])
        for step in plan.steps
    ]
