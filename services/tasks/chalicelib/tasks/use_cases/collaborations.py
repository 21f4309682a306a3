"""What clients do with collaborations: begin, read, cancel."""

from chalicelib.tasks.models import TaskNotFound
from chalicelib.tasks.models.collaborations import (
    Collaboration,
    CollaborationEnded,
    CollaborationFile,
    CollaborationStatus,
    CreateCollaborationRequest,
    Participant,
)
from chalicelib.tasks.repository import Store
from chalicelib.tasks.use_cases import agents, collaboration_events, usage
from chalicelib.tasks.use_cases import tasks as task_use_cases
from common import tracing
from common.clock import new_id, timestamp
from common.context import correlation_id
from common.cursors import Position
from common.dynamo import retry_conflicts
from common.events.collaborations import CollaborationCancelledV1, CollaborationStartedV1
from common.idempotency import Once
from common.principals import Principal


def create_collaboration(
    store: Store,
    principal: Principal,
    request: CreateCollaborationRequest,
    once: Once | None,
) -> CollaborationFile:
    for agent_id in {participant.agent_id for participant in request.participants}:
        agents.load_owned(store, principal, agent_id)
    usage.require_tokens(store, principal, once)
    file = _new(principal, request)
    answer = once and once.answering(201, file)
    started = CollaborationStartedV1(
        collaboration_pattern=file.collaboration.pattern.value,
        timestamp=file.collaboration.created_at,
        **collaboration_events.about(file),
    )
    store.collaborations.add(file, started, answer)
    return file


def load_owned(store: Store, principal: Principal, collaboration_id: str) -> CollaborationFile:
    """The one owner check for collaborations."""
    file = store.collaborations.file(collaboration_id)
    principal.require_owner(file.collaboration.user_id, f"Collaboration {collaboration_id}")
    return file


def list_collaborations(
    store: Store,
    principal: Principal,
    limit: int,
    start: Position | None,
) -> tuple[list[Collaboration], Position | None]:
    return store.collaborations.list_for_user(principal.user_id, limit, start)


def cancel_collaboration(
    store: Store,
    principal: Principal,
    collaboration_id: str,
    once: Once | None,
) -> CollaborationFile:
    """Raises CollaborationEnded if it ended first. Its tasks are cancelled when the event comes
    back."""
    store.collaborations.replay(once)

    def attempt() -> CollaborationFile:
        file = load_owned(store, principal, collaboration_id)
        before = file.collaboration
        if before.status.is_terminal:
            raise CollaborationEnded(before)
        after = ended(before, CollaborationStatus.CANCELLED)
        answer = file.model_copy(update={"collaboration": after})
        cancelled = CollaborationCancelledV1(**collaboration_events.about(answer))
        answered = once and once.answering(200, answer)
        store.collaborations.replace(before, after, cancelled, once=answered)
        return answer

    return retry_conflicts(attempt)


def cancel_tasks_of(store: Store, collaboration_id: str) -> None:
    """Stops what the participants of an ended collaboration still had to do."""
    for participant in store.collaborations.file(collaboration_id).participants:
        retry_conflicts(lambda task_id=participant.task_id: _cancel(store, task_id))  # type: ignore[misc]


def _cancel(store: Store, task_id: str) -> None:
    try:
        task_use_cases.cancel(store, store.tasks.get(task_id))
    except TaskNotFound:
        return  # not made yet; who makes it looks whether the collaboration has ended


def ended(before: Collaboration, status: CollaborationStatus, **changes: object) -> Collaboration:
    now = {"status": status, "completed_at": timestamp(), "version": before.version + 1}
    return before.model_copy(update=now | changes)


def _new(principal: Principal, request: CreateCollaborationRequest) -> CollaborationFile:
    collaboration = Collaboration(
        id=new_id(),
        user_id=principal.user_id,
        pattern=request.pattern,
        size=len(request.participants),
        created_at=timestamp(),
        correlation_id=correlation_id.get(),
        traceparent=tracing.traceparent(),
        active_tasks=principal.quotas.active_tasks,
        tokens_per_day=principal.quotas.tokens_per_day,
    )
    participants = [
        Participant(
            index=index,
            agent_id=wanted.agent_id,
            description=wanted.description,
            task_id=collaboration.task_id(index),
        )
        for index, wanted in enumerate(request.participants)
    ]
    return CollaborationFile(collaboration=collaboration, participants=participants)
