"""What is announced of collaborations."""

from typing import Any

from chalicelib.tasks.models.collaborations import (
    Collaboration,
    CollaborationFile,
    Fault,
    Participant,
)
from common.events.base import Event
from common.events.collaborations import (
    AgentMessageSentV1,
    CollaborationCompletedV1,
    CollaborationFailedV1,
    CollaborationProgressV1,
)
from common.events.tasks import ErrorOccurredV1

RESULT_CHARS_IN_EVENT = 1_000


def about(file: CollaborationFile) -> dict[str, Any]:
    """The fields that every event about the whole of a collaboration carries."""
    collaboration = file.collaboration
    return {
        "collaboration_id": collaboration.id,
        "agent_ids": file.agent_ids,
        "user_id": collaboration.user_id,
        "aggregate_id": collaboration.id,
        "aggregate_version": collaboration.version,
        "correlation_id": collaboration.correlation_id,
    }


def completed(file: CollaborationFile) -> CollaborationCompletedV1:
    return CollaborationCompletedV1(
        statuses=[each.status.value for each in file.participants],
        results=[(each.result or "")[:RESULT_CHARS_IN_EVENT] for each in file.participants],
        **about(file),
    )


def failed(file: CollaborationFile, fault: Fault) -> CollaborationFailedV1:
    return CollaborationFailedV1(error_code=fault.code, error_message=fault.message, **about(file))


def progress(collaboration: Collaboration, participant: Participant) -> CollaborationProgressV1:
    """About the participant: collaborations end after all of their participants."""
    return CollaborationProgressV1(
        collaboration_id=collaboration.id,
        participant=participant.index + 1,
        participants=collaboration.size,
        agent_id=participant.agent_id,
        task_id=participant.task_id,
        status=participant.status.value,
        user_id=collaboration.user_id,
        aggregate_id=participant.task_id,
        aggregate_version=participant.version,
        correlation_id=collaboration.correlation_id,
    )


def handoff(file: CollaborationFile, ended: Participant) -> list[Event]:
    collaboration, following = file.collaboration, ended.index + 1
    if collaboration.status.is_terminal or not collaboration.hands_over_to(following):
        return []
    target = file.participants[following]
    message_id = f"{target.task_id}-handoff"
    reason = ended.error.message if ended.error else "It was cancelled"
    failed = f"I could not do my part ({ended.description[:200]}): {reason}"
    sent = AgentMessageSentV1(
        message_id=message_id,
        agent_id=ended.agent_id,
        to_agent_id=target.agent_id,
        content=ended.result if ended.result is not None else failed,
        collaboration_id=collaboration.id,
        task_id=target.task_id,
        user_id=collaboration.user_id,
        aggregate_id=message_id,
        aggregate_version=1,
        correlation_id=collaboration.correlation_id,
    )
    return [sent]


def occurred(collaboration: Collaboration, fault: Fault) -> ErrorOccurredV1:
    return ErrorOccurredV1(
        component="tasks.collaboration",
        error_type=fault.code,
        error_message=fault.message,
        context={"collaborationId": collaboration.id},
        user_id=collaboration.user_id,
        aggregate_id=collaboration.id,
        aggregate_version=collaboration.version + 1,
        correlation_id=collaboration.correlation_id,
    )
