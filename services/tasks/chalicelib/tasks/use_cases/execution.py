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
    Decision,
    StepRecord,
    StepStatus,
    Task,
    TaskError,
    TaskFile,
    TaskPlan,
    TaskStatus,
)
from chalicelib.tasks.models.approvals import Approval
from chalicelib.tasks.models.failures import AgentFailed, ApprovalNeeded, OutOfTime
from chalicelib.tasks.models.plans import scope_of
from chalicelib.tasks.repository import Journal, Store
from chalicelib.tasks.use_cases import approvals, contexts
from chalicelib.tasks.use_cases.about import about, advanced
from chalicelib.tasks.use_cases.heartbeat import beating
from chalicelib.tasks.use_cases.narration import Narration
from chalicelib.tasks.use_cases.tasks import cancel
from chalicelib.tasks.work import Account, Deadline, Job
from common.clock import seconds_between, timestamp
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
AT_ONCE = 5
"""Steps that one function carries out: each group costs three transitions of the machine and the
start of a function. A group whose time runs out is continued by the next function."""
Answer = dict[str, Any]
log = logging.getLogger(__name__)


class Work(NamedTuple):
    """What a state needs to do its part."""

    file: TaskFile
    agent: AgentSnapshot

    def job(self, journal: Journal, deadline: Deadline, narration: Narration | None = None) -> Job:
        task = self.file.task
        account = Account(task.user_id, self.agent.id, task.tokens_per_day)
        return Job(self.agent, account, journal, deadline, narration)


def initialize_task(store: Store, task_id: str) -> Answer:
    before = _begin(store.tasks.get(task_id))
    if before.status == TaskStatus.PENDING:
        now = timestamp()
        after = advanced(before, status=TaskStatus.RUNNING, started_at=now)
        store.tasks.replace(before, after, TaskStartedV1(timestamp=now, **about(after)))
    return {"outcome": "stopped" if before.status.is_terminal else "running"}


def plan_task(store: Store, runtime: "Runtime", task_id: str, deadline: Deadline) -> Answer:
    """Answers with the steps' indices, in groups; a plan that exists already is kept as it is."""
    work = _work(store, task_id)
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


def execute_steps(
    store: Store, runtime: "Runtime", task_id: str, steps: list[int], deadline: Deadline
) -> Answer:
    """One after the other, until one does not complete: each is on record before the next begins,
    so that a group that runs again goes on where it was."""
    answer: Answer = {"outcome": "completed"}
    for index in steps:
        answer = execute_step(store, runtime, task_id, index, deadline)
        if answer["outcome"] != "completed":
            break
    return answer


def execute_step(
    store: Store, runtime: "Runtime", task_id: str, index: int, deadline: Deadline
) -> Answer:
    work = _work(store, task_id)
    if work is None or work.file.task.error:
        return {"outcome": "skipped"}
    if work.file.has_ended(index):
        return {"outcome": "completed"}
    if not work.file.chosen(work.file.agreed_plan.steps[index]):
        return _skip(store, work, index)
    return _work_on(store, runtime, work, index, deadline)


def _work_on(
    store: Store, runtime: "Runtime", work: Work, index: int, deadline: Deadline
) -> Answer:
    journal = store.journals.open(work.file.task.id, scope_of(index))
    started_at = timestamp()
    try:
        done = _carry_out(store, runtime, work, index, journal, deadline)
    except OutOfTime:
        return {"outcome": "continue"}
    except ApprovalNeeded as needed:
        return _waiting(approvals.ask(store, work.agent, work.file, needed.wish))
    except AgentFailed as failure:
        return _fail(store, work, index, failure, journal, started_at)
    return _complete(store, work, index, done, journal, started_at)


class Done(NamedTuple):
    output: str
    decision: Decision | None = None


def _carry_out(
    store: Store,
    runtime: "Runtime",
    work: Work,
    index: int,
    journal: Journal,
    deadline: Deadline,
) -> Done:
    """Raises what stops a step: AgentFailed, ApprovalNeeded, OutOfTime."""
    step = work.file.agreed_plan.steps[index]
    admission = approvals.StepAdmission(store, work.agent, work.file, index)
    admission.require_step()
    with beating(store, work.file, index):
        if step.type == "decision":
            decision = runtime.decide(work.job(journal, deadline), work.file, index)
            return Done(decision.option, decision)
        job = work.job(journal, deadline, Narration(store, work.file.task, index))
        return Done(runtime.run_step(job, work.file, index, admission))


def _complete(
    store: Store, work: Work, index: int, done: Done, journal: Journal, started_at: str
) -> Answer:
    task, step = work.file.task, work.file.agreed_plan.steps[index]
    record = StepRecord(
        index=index,
        status=StepStatus.COMPLETED,
        output=_bounded(done.output),
        decision=done.decision,
        tokens=journal.tokens,
        started_at=started_at,
        completed_at=timestamp(),
    )
    after = advanced(task, current_step=index + 1, tokens=work.file.tokens_with(record))
    store.tasks.add_record(task, after, record, _progress(after, step.description))
    return {"outcome": "completed"}


def _skip(store: Store, work: Work, index: int) -> Answer:
    """A step of a branch that was not chosen."""
    task, now = work.file.task, timestamp()
    record = StepRecord(index=index, status=StepStatus.SKIPPED, started_at=now, completed_at=now)
    after = advanced(task, current_step=index + 1)
    store.tasks.add_record(task, after, record, _progress(after, None))
    return {"outcome": "completed"}


def _fail(
    store: Store,
    work: Work,
    index: int,
    failure: AgentFailed,
    journal: Journal,
    started_at: str,
) -> Answer:
    log.warning("the agent failed", extra={"taskId": work.file.task.id, "code": failure.code})
    record = StepRecord(
        index=index,
        status=StepStatus.FAILED,
        output=failure.message,
        tokens=journal.tokens,
        started_at=started_at,
        completed_at=timestamp(),
    )
    task = work.file.task
    after = advanced(task, error=_task_error(failure), tokens=work.file.tokens_with(record))
    store.tasks.add_record(task, after, record)
    return {"outcome": "failed"}


def _waiting(approval: Approval) -> Answer:
    """The machine wakes up by itself a little after nobody can decide any more."""
    seconds = seconds_between(timestamp(), approval.expires_at) + 1
    return {"outcome": "waiting", "approvalId": approval.id, "seconds": max(1, seconds)}


def complete_task(store: Store, task_id: str) -> Answer:
    """The result is the output of the last step, which always is a response."""
    file = store.tasks.file(task_id)
    before = _begin(file.task)
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
    before = _begin(store.tasks.get(task_id))
    if before.status.is_terminal or before.attempt != attempt:
        return {"outcome": "stopped"}
    broken = AgentFailed("EXECUTION_FAILED", "The execution broke off; retrying may help")
    error = before.error or _task_error(broken)
    after = advanced(before, status=TaskStatus.FAILED, error=error, completed_at=timestamp())
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
    store.tasks.replace(before, after, failed, occurred)
    approvals.void(store, after)
    return {"outcome": "failed"}


def _begin(task: Task) -> Task:
    """Everything logged from here on belongs to the request that created the task."""
    correlation_id.set(task.correlation_id)
    return task


def _usable(plan: TaskPlan) -> TaskPlan:
    whole = plan.ending_in_a_response()
    return whole if whole.is_storable else TaskPlan.to_answer_at_once()


def _work(store: Store, task_id: str) -> Work | None:
    """None if there is nothing left to do: the task has ended, or its agent is gone."""
    file = store.tasks.file(task_id)
    if _begin(file.task).status.is_terminal:
        return None
    agent = store.agents.get(file.task.agent_id)
    if agent is None or agent.deleted:
        cancel(store, file.task)
        return None
    return Work(file, contexts.remembering(store, agent))


def _record_failure(store: Store, task: Task, failure: AgentFailed) -> None:
    log.warning("the agent failed", extra={"taskId": task.id, "code": failure.code})
    store.tasks.replace(task, advanced(task, error=_task_error(failure)))


def _task_error(failure: AgentFailed) -> TaskError:
    return TaskError(code=failure.code, message=failure.message, timestamp=timestamp())


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


def _bounded(output: str) -> str:
    if len(output) <= MAX_OUTPUT_CHARS:
        return output
    return output[:MAX_OUTPUT_CHARS] + f" … [cut, {len(output)} characters in all]"
