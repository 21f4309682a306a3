"""Approvals: asked for by agents, decided by people, and what waits for them goes on."""

from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Protocol

from chalicelib.tasks.models import AgentSnapshot, Task, TaskFile, TaskNotFound, step_id
from chalicelib.tasks.models.approvals import (
    DEFAULT_EXPIRY_SECONDS,
    Approval,
    ApprovalDecided,
    ApprovalStatus,
    DecideRequest,
    Wish,
)
from chalicelib.tasks.repository import Store
from chalicelib.tasks.use_cases.about import about, advanced
from common.clock import timestamp
from common.context import uncaused
from common.cursors import Position
from common.dynamo import retry_conflicts
from common.events.approvals import ApprovalDecidedV1, ApprovalRequestedV1, ApprovalVoidedV1
from common.idempotency import Once
from common.principals import Principal

MAX_PARAMETERS_IN_EVENT = 20_000
_DECISIONS: dict[ApprovalStatus, Literal["approved", "rejected", "expired"]] = {
    ApprovalStatus.APPROVED: "approved",
    ApprovalStatus.REJECTED: "rejected",
    ApprovalStatus.EXPIRED: "expired",
}


class Waiting(Protocol):
    """The workflows that wait for a decision."""

    def wake(self, token: str, outcome: str) -> None: ...


def wish(file: TaskFile, index: int, place: str, **what: Any) -> Wish:
    return Wish(
        task_id=file.task.id,
        attempt=file.task.attempt,
        step=index,
        plan_version=file.agreed_plan.version,
        place=place,
        **what,
    )


def ask(store: Store, agent: AgentSnapshot, file: TaskFile, wanted: Wish) -> Approval:
    """Asked once: who comes again finds what was asked."""
    known = store.approvals.find(wanted.approval_id)
    if known:
        return known
    approval = _new(agent, file, wanted)
    after = advanced(file.task, waiting_for=approval.id)
    shown = len(wanted.canonical) <= MAX_PARAMETERS_IN_EVENT
    requested = ApprovalRequestedV1(
        approval_id=approval.id,
        step=approval.step,
        description=approval.description,
        tool=approval.tool,
        parameters=approval.parameters if shown else None,
        expires_at=approval.expires_at,
        timestamp=approval.created_at,
        **about(after),
    )
    store.approvals.ask(approval, file.task, after, requested)
    return approval


def _new(agent: AgentSnapshot, file: TaskFile, wanted: Wish) -> Approval:
    policy = agent.configuration.get("approvalPolicy") or {}
    now = datetime.now(UTC)
    expiry = timedelta(seconds=policy.get("expiresAfterSeconds") or DEFAULT_EXPIRY_SECONDS)
    return Approval(
        id=wanted.approval_id,
        user_id=file.task.user_id,
        agent_id=file.task.agent_id,
        task_id=file.task.id,
        step=step_id(wanted.step),
        plan_version=wanted.plan_version,
        description=file.agreed_plan.steps[wanted.step].description,
        tool=wanted.tool,
        parameters=wanted.parameters,
        created_at=timestamp(now),
        expires_at=timestamp(now + expiry),
    )


def load_owned(store: Store, principal: Principal, approval_id: str) -> Approval:
    approval = store.approvals.get(approval_id)
    principal.require_owner(approval.user_id, f"Approval {approval_id}")
    return approval


def list_approvals(
    store: Store, principal: Principal, limit: int, start: Position | None
) -> tuple[list[Approval], Position | None]:
    return store.approvals.list_for_user(principal.user_id, limit, start)


def decide(
    store: Store,
    principal: Principal,
    approval_id: str,
    request: DecideRequest,
    once: Once | None,
) -> Approval:
    """Raises ApprovalDecided if somebody was faster, the time is over, or the task has ended."""
    store.tasks.replay(once)
    approved = request.decision == "approve"
    status = ApprovalStatus.APPROVED if approved else ApprovalStatus.REJECTED

    def attempt() -> Approval:
        approval = load_owned(store, principal, approval_id)
        if approval.status != ApprovalStatus.PENDING:
            raise ApprovalDecided(approval)
        if approval.expires_at <= timestamp():
            with uncaused():
                _close(store, approval, ApprovalStatus.EXPIRED)
            raise ApprovalDecided(store.approvals.get(approval_id))
        by = {"comment": request.comment, "decided_by": principal.user_id}
        return _close(store, approval, status, once, **by)

    return retry_conflicts(attempt)


def expire(store: Store, approval_id: str) -> None:
    """A decision that came first stays."""

    def attempt() -> None:
        approval = store.approvals.get(approval_id)
        if approval.status == ApprovalStatus.PENDING:
            _close(store, approval, ApprovalStatus.EXPIRED)

    retry_conflicts(attempt)


def await_decision(store: Store, waiting: Waiting, approval_id: str, token: str) -> None:
    """From here on a decision wakes the workflow; one that was made already does it at once."""

    def attempt() -> None:
        approval = store.approvals.get(approval_id)
        if approval.status == ApprovalStatus.PENDING:
            store.approvals.wait(approval, _changed(approval, token=token))
        else:
            waiting.wake(token, approval.status.value)

    retry_conflicts(attempt)


def wake(store: Store, waiting: Waiting, approval_id: str) -> None:
    """For an approval that is not known nobody waits."""
    approval = store.approvals.find(approval_id)
    if approval and approval.token and approval.status != ApprovalStatus.PENDING:
        waiting.wake(approval.token, approval.status.value)


def stop_waiting(store: Store, waiting: Waiting, task_id: str) -> None:
    """The workflow of a task that was cancelled goes on, to its end."""
    try:
        task = store.tasks.get(task_id)
    except TaskNotFound:  # so nothing waits for it
        return
    void(store, task)
    if task.waiting_for:
        wake(store, waiting, task.waiting_for)


def void(store: Store, task: Task) -> None:
    """What a task that has ended still waited for is not to be decided any more."""
    approval_id = task.waiting_for
    if approval_id is None or not task.status.is_terminal:
        return

    def attempt() -> None:
        approval = store.approvals.get(approval_id)
        if approval.status == ApprovalStatus.PENDING:
            _void(store, approval, task)

    retry_conflicts(attempt)


def _close(
    store: Store, approval: Approval, status: ApprovalStatus, once: Once | None = None, **by: Any
) -> Approval:
    """The decision, and that the task waits no longer, in one transaction."""
    now = timestamp()
    after = _changed(approval, status=status, decided_at=now, **by)
    task = store.tasks.get(approval.task_id)
    answer = once and once.answering(200, after)
    if task.status.is_terminal or task.waiting_for != approval.id:
        with uncaused():
            raise ApprovalDecided(_void(store, approval, task))
    goes_on = advanced(task, waiting_for=None)
    decided = ApprovalDecidedV1(
        approval_id=after.id,
        decision=_DECISIONS[status],
        comment=after.comment,
        timestamp=now,
        **about(goes_on),
    )
    store.approvals.decide(approval, after, (task, goes_on), decided, once=answer)
    return after


def _void(store: Store, approval: Approval, task: Task) -> Approval:
    now = timestamp()
    after = _changed(approval, status=ApprovalStatus.VOID, decided_at=now)
    voided = ApprovalVoidedV1(approval_id=after.id, timestamp=now, **about(task))
    store.approvals.decide(approval, after, None, voided)
    return after


def _changed(approval: Approval, **changes: Any) -> Approval:
    return approval.model_copy(update={**changes, "version": approval.version + 1})
