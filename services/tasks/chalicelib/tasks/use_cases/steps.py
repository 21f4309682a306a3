"""The steps of a task, carried out one after the other."""

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from chalicelib.tasks.models import Decision, StepRecord, StepStatus
from chalicelib.tasks.models.approvals import Approval
from chalicelib.tasks.models.failures import AgentFailed, ApprovalNeeded, OutOfTime
from chalicelib.tasks.models.plans import scope_of
from chalicelib.tasks.repository import Journal, Store
from chalicelib.tasks.use_cases import approvals
from chalicelib.tasks.use_cases.about import advanced
from chalicelib.tasks.use_cases.admission import StepAdmission
from chalicelib.tasks.use_cases.at_work import Work, task_error, work_of
from chalicelib.tasks.use_cases.calls import told_of
from chalicelib.tasks.use_cases.heartbeat import beating
from chalicelib.tasks.use_cases.narration import Narration
from chalicelib.tasks.use_cases.progress import bounded, ended, progress_of
from chalicelib.tasks.work import Deadline
from common.clock import seconds_between, timestamp

if TYPE_CHECKING:
    from chalicelib.tasks.runtime import Runtime

Answer = dict[str, Any]
log = logging.getLogger(__name__)


def execute_steps(
    store: Store, runtime: "Runtime", task_id: str, steps: list[int], deadline: Deadline
) -> Answer:
    """One after the other, until one does not complete: each is on record before the next begins,
    so that a group that runs again goes on where it was. Whoever changes the task meanwhile makes
    the step that runs then fail to end, with Conflict."""
    work = work_of(store, task_id)
    if work is None or work.file.task.error:
        return {"outcome": "skipped"}
    journals = store.journals.open_all(task_id, [scope_of(index) for index in steps])
    for index, journal in zip(steps, journals, strict=True):
        if work.file.has_ended(index):
            continue
        started_at = timestamp()
        try:
            done = _carry_out(store, runtime, work, index, journal, deadline)
        except OutOfTime:
            return {"outcome": "continue"}
        except ApprovalNeeded as needed:
            return _waiting(approvals.ask(store, work.agent, work.file, needed.wish))
        except AgentFailed as failure:
            return _fail(store, work, index, failure, journal, started_at)
        record = _record(index, done, journal, started_at)
        file, told = ended(work.file, record, journal.calls.values())
        store.tasks.add_record(work.file.task, file.task, record, *told)
        work = work._replace(file=file)
    return {"outcome": "completed"}


class Done(NamedTuple):
    output: str | None
    decision: Decision | None = None


SKIPPED = Done(None)
"""A step of a branch that was not chosen."""


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
    if not work.file.chosen(step):
        return SKIPPED
    admission = StepAdmission(store, work.agent, work.file, index)
    admission.require_step()
    with beating(store, work.file, index):
        if step.type == "decision":
            decision = runtime.decide(work.job(journal, deadline), work.file, index)
            return Done(decision.option, decision)
        job = work.job(journal, deadline, Narration(store, work.file.task, index))
        return Done(runtime.run_step(job, work.file, index, admission))


def _record(index: int, done: Done, journal: Journal, started_at: str) -> StepRecord:
    return StepRecord(
        index=index,
        status=StepStatus.SKIPPED if done is SKIPPED else StepStatus.COMPLETED,
        output=bounded(done.output) if done.output else done.output,
        decision=done.decision,
        tokens=journal.tokens,
        started_at=started_at,
        completed_at=timestamp(),
    )


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
    after = advanced(task, error=task_error(failure), tokens=work.file.tokens_with(record))
    calls = told_of(index, journal.calls.values())
    told = [progress_of(after, None, calls)] if calls else []
    store.tasks.add_record(task, after, record, *told)
    return {"outcome": "failed"}


def _waiting(approval: Approval) -> Answer:
    """The machine wakes up by itself a little after nobody can decide any more."""
    seconds = seconds_between(timestamp(), approval.expires_at) + 1
    return {"outcome": "waiting", "approvalId": approval.id, "seconds": max(1, seconds)}
