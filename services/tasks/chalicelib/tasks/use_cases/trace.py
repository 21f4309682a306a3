"""What an agent thought and did, and what a person found out about it."""

import json

from chalicelib.tasks.models import TaskFile, TaskNotFailed, TaskStatus
from chalicelib.tasks.models.details import StepDetails
from chalicelib.tasks.models.journal import CallStatus, ToolCall, Turn, text_of
from chalicelib.tasks.models.plans import scope_of
from chalicelib.tasks.models.trace import (
    SettleRequest,
    ToolCallNotFound,
    ToolCallSettled,
    ToolInvocation,
    Trace,
    TracedStep,
)
from chalicelib.tasks.repository import Store
from chalicelib.tasks.use_cases.tasks import load_owned
from common.clock import timestamp
from common.principals import Principal


def read_trace(store: Store, principal: Principal, agent_id: str, task_id: str) -> Trace:
    file = load_owned(store, principal, agent_id, task_id)
    turns, calls = store.journals.turns(task_id), store.journals.calls(task_id)
    plan = file.shown.plan
    return Trace(
        task_id=task_id,
        planning=_thoughts(turns.get("plan", [])),
        steps=[
            _step(step, turns.get(scope_of(index), []), _calls_of(calls, index))
            for index, step in enumerate(plan.steps if plan else ())
        ],
    )


def settle_call(
    store: Store,
    principal: Principal,
    ids: tuple[str, str, str],
    request: SettleRequest,
) -> ToolInvocation:
    """Raises ToolCallNotFound, ToolCallSettled if it is known how the call ended, and TaskNotFailed
    unless its task has failed: while it runs, the call may still be under way."""
    agent_id, task_id, call_id = ids
    file = load_owned(store, principal, agent_id, task_id)
    call = store.journals.call(task_id, call_id)
    if call is None:
        raise ToolCallNotFound(call_id)
    if call.status != CallStatus.STARTED:
        raise ToolCallSettled(call)
    _require_failed(file)
    if request.outcome == "not_called":
        store.journals.remove_call(task_id, call)
        return ToolInvocation.of(call)
    settled = call.model_copy(
        update={
            "status": CallStatus(request.outcome),
            "output": _output(request),
            "completed_at": timestamp(),
        }
    )
    store.journals.put_call(task_id, settled)
    return ToolInvocation.of(settled)


def _require_failed(file: TaskFile) -> None:
    if file.task.status != TaskStatus.FAILED:
        raise TaskNotFailed(file.task)


def _output(request: SettleRequest) -> str:
    if request.outcome == "failed":
        return str(request.output or "The tool failed")
    return json.dumps(request.output)


def _step(step: StepDetails, turns: list[Turn], calls: list[ToolCall]) -> TracedStep:
    return TracedStep(
        id=step.id,
        type=step.type,
        description=step.description,
        status=step.status,
        thoughts=_thoughts(turns),
        decision=step.decision,
        tool_invocations=[ToolInvocation.of(call) for call in calls],
    )


def _calls_of(calls: list[ToolCall], index: int) -> list[ToolCall]:
    return [call for call in calls if call.step == scope_of(index)]


def _thoughts(turns: list[Turn]) -> list[str]:
    said = [text_of(message) for turn in turns for message in turn.messages[-1:]]
    return [text for text in said if text]
