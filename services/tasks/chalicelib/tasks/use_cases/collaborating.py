"""What the MultiAgent state machine does, one function per state.

Every function may run again after a crash. A participant is a task whose id is known beforehand,
and a row that ends once; what one agent hands to the next travels as a message.
"""

import time
from typing import Any

from chalicelib.tasks.models import Task, TaskFile, TaskNotFound, TaskStatus
from chalicelib.tasks.models.collaborations import (
    MAX_TOLD_CHARS,
    Collaboration,
    CollaborationFile,
    CollaborationStatus,
    Fault,
    Participant,
)
from chalicelib.tasks.repository import Store
from chalicelib.tasks.use_cases import collaboration_events as announcing
from chalicelib.tasks.use_cases import collaborations as use_cases
from chalicelib.tasks.use_cases.about import about
from common import tracing
from common.clock import timestamp
from common.context import correlation_id
from common.dynamo import retry_conflicts
from common.errors import Conflict, QuotaExceeded
from common.events.base import Event
from common.events.tasks import TaskCreatedV1
from common.quotas import Quota

PATIENCE_SECONDS = 2.0
POLL_SECONDS = 0.05
Answer = dict[str, Any]


def enter(store: Store, event: dict[str, Any]) -> Answer:
    """Raises KeyError for a state that there is not."""
    collaboration_id, name = event["collaborationId"], event["state"]
    if name in _OF_PARTICIPANTS:
        return _OF_PARTICIPANTS[name](store, collaboration_id, event["participant"])
    return _OF_THE_WHOLE[name](store, collaboration_id)


def begin(store: Store, collaboration_id: str) -> Answer:
    collaboration = _read(store, collaboration_id).collaboration
    over = collaboration.status.is_terminal
    participants = [] if over else list(range(collaboration.size))
    return {"participants": participants, "pattern": collaboration.pattern.value}


def prepare(store: Store, collaboration_id: str, index: int) -> Answer:
    """Makes the participant's task, unless it can't have one: that is a result, too. `waiting`
    means that what the one before hands over has not arrived."""
    file = _read(store, collaboration_id)
    participant = file.participants[index]
    if file.collaboration.status.is_terminal or participant.status.is_terminal:
        return {"outcome": "over"}
    agent = store.agents.get(participant.agent_id)
    if agent is None or agent.deleted:
        gone = Fault(code="AGENT_DELETED", message="The agent was deleted before its turn")
        return _end(store, file, index, status=TaskStatus.FAILED, error=gone)
    if file.collaboration.hands_over_to(index) and not _has_arrived(store, participant):
        return {"outcome": "waiting"}
    try:
        _add_task(store, file.collaboration, participant)
    except QuotaExceeded as refused:
        fault = Fault(code="QUOTA_EXCEEDED", message=str(refused))
        return _end(store, file, index, status=TaskStatus.FAILED, error=fault)
    _mark_running(store, file.collaboration, index)
    if store.collaborations.get(collaboration_id).status.is_terminal:
        use_cases.cancel_tasks_of(store, collaboration_id)
    task_id = participant.task_id
    return {"outcome": "ready", "taskId": task_id, "attempt": 1, "execution": f"{task_id}-1"}


def settle(store: Store, collaboration_id: str, index: int) -> Answer:
    """Takes down how the participant's task ended, and says if it has not."""
    file = _read(store, collaboration_id)
    participant = file.participants[index]
    if participant.status.is_terminal:
        return {"outcome": "over"}
    try:
        task = store.tasks.file(participant.task_id)
    except TaskNotFound:
        broken = Fault(code="EXECUTION_FAILED", message="The agent's part could not be begun")
        return _end(store, file, index, status=TaskStatus.FAILED, error=broken)
    if not task.task.status.is_terminal:
        return {"outcome": "running"}
    return _end(store, file, index, **_how_it_ended(task))


def aggregate(store: Store, collaboration_id: str) -> Answer:
    """Whoever failed is among the results; only if nobody completed has the whole failed."""

    def attempt() -> Answer:
        file = _read(store, collaboration_id)
        before = file.collaboration
        if before.status.is_terminal:
            return {"outcome": "stopped"}
        if not file.number_of(TaskStatus.COMPLETED):
            return _fail(store, file, Fault(code="ALL_FAILED", message="No participant completed"))
        after = use_cases.ended(before, CollaborationStatus.COMPLETED)
        told = announcing.completed(file.model_copy(update={"collaboration": after}))
        store.collaborations.replace(before, after, told)
        return {"outcome": "completed"}

    return retry_conflicts(attempt)


def handle_error(store: Store, collaboration_id: str) -> Answer:
    """The machine broke: nobody works on, and the collaboration says why it has ended."""

    def attempt() -> Answer:
        file = _read(store, collaboration_id)
        if file.collaboration.status.is_terminal:
            return {"outcome": "stopped"}
        fault = Fault(code="EXECUTION_FAILED", message="The execution broke off")
        return _fail(store, file, fault, announcing.occurred(file.collaboration, fault))

    answer = retry_conflicts(attempt)
    use_cases.cancel_tasks_of(store, collaboration_id)
    return answer


_OF_THE_WHOLE = {"begin": begin, "aggregate": aggregate, "handle_error": handle_error}
_OF_PARTICIPANTS = {"prepare": prepare, "settle": settle}


def _read(store: Store, collaboration_id: str) -> CollaborationFile:
    """Everything logged and traced from here on belongs to the request that began it."""
    file = store.collaborations.file(collaboration_id)
    correlation_id.set(file.collaboration.correlation_id)
    tracing.follow(file.collaboration.traceparent, {"agentic.collaboration.id": collaboration_id})
    return file


def _has_arrived(store: Store, participant: Participant) -> bool:
    """Whether the message for this participant's task is in the inbox, or was even read."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while participant.status == TaskStatus.PENDING:
        if store.inbox.unread_for(participant.agent_id, participant.task_id):
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _add_task(store: Store, collaboration: Collaboration, participant: Participant) -> None:
    """Raises QuotaExceeded. A task that is there already is the one that was wanted."""
    task = Task(
        id=participant.task_id,
        agent_id=participant.agent_id,
        user_id=collaboration.user_id,
        description=participant.description,
        created_at=timestamp(),
        correlation_id=collaboration.correlation_id,
        traceparent=tracing.traceparent(),
        tokens_per_day=collaboration.tokens_per_day,
    )
    created = TaskCreatedV1(
        description=task.description,
        collaboration_id=collaboration.id,
        timestamp=task.created_at,
        **about(task),
    )
    try:
        store.tasks.add(task, created, None, Quota("activeTasks", collaboration.active_tasks))
    except Conflict:
        return


def _mark_running(store: Store, collaboration: Collaboration, index: int) -> None:
    def attempt() -> None:
        before = store.collaborations.file(collaboration.id).participants[index]
        if before.status == TaskStatus.PENDING:
            after = _changed(before, status=TaskStatus.RUNNING)
            told = announcing.progress(collaboration, after)
            store.collaborations.replace_participant(collaboration.id, before, after, told)

    retry_conflicts(attempt)


def _how_it_ended(file: TaskFile) -> dict[str, Any]:
    result, error = file.result or "", file.task.error
    return {
        "status": file.task.status,
        "result": result[:MAX_TOLD_CHARS] if file.result is not None else None,
        "result_truncated": len(result) > MAX_TOLD_CHARS,
        "error": Fault(code=error.code, message=error.message) if error else None,
    }


def _end(store: Store, file: CollaborationFile, index: int, **changes: object) -> Answer:
    """Ends a participant, and hands over to the next one, in one write."""

    def attempt() -> None:
        now = store.collaborations.file(file.collaboration.id)
        before, after = now.participants[index], _changed(now.participants[index], **changes)
        if not before.status.is_terminal:
            told: list[Event] = [
                announcing.progress(file.collaboration, after),
                *announcing.handoff(now, after),
            ]
            store.collaborations.replace_participant(file.collaboration.id, before, after, *told)

    retry_conflicts(attempt)
    return {"outcome": "over"}


def _changed(participant: Participant, **changes: object) -> Participant:
    return participant.model_copy(update={**changes, "version": participant.version + 1})


def _fail(store: Store, file: CollaborationFile, fault: Fault, *occurred: Event) -> Answer:
    before = file.collaboration
    after = use_cases.ended(before, CollaborationStatus.FAILED, error=fault)
    told = announcing.failed(file.model_copy(update={"collaboration": after}), fault)
    store.collaborations.replace(before, after, told, *occurred)
    return {"outcome": "failed"}
