"""Every event, who announces it and who listens.

Rules, queues, permissions, the consumers' registration and docs/events.md are derived from this
table; nothing about routing is written anywhere else.
"""

from collections.abc import Iterable
from typing import NamedTuple

from common.events.agents import (
    AgentCreatedV1,
    AgentDeletedV1,
    AgentStatusChangedV1,
    AgentUpdatedV1,
)
from common.events.approvals import ApprovalDecidedV1, ApprovalRequestedV1, ApprovalVoidedV1
from common.events.auth import AccessRevokedV1, UserChangedV1
from common.events.base import Event
from common.events.collaborations import (
    AgentMessageSentV1,
    CollaborationCancelledV1,
    CollaborationCompletedV1,
    CollaborationFailedV1,
    CollaborationProgressV1,
    CollaborationStartedV1,
)
from common.events.conversations import (
    AgentRespondedV1,
    ResponseFailedV1,
    SessionDeletedV1,
    UserInteractionV1,
)
from common.events.requests import (
    AgentCreationRequestedV1,
    AgentDeletionRequestedV1,
    AgentUpdateRequestedV1,
    ApprovalDecisionRequestedV1,
    RequestRejectedV1,
    TaskCancellationRequestedV1,
    TaskCreationRequestedV1,
)
from common.events.schedules import ScheduleChangedV1, ScheduledTaskV1
from common.events.tasks import (
    ErrorOccurredV1,
    TaskCancelledV1,
    TaskCompletedV1,
    TaskCreatedV1,
    TaskFailedV1,
    TaskProgressV1,
    TaskRetriedV1,
    TaskStartedV1,
    TextGeneratedV1,
)


class Entry(NamedTuple):
    """`also_by` are services beside the producer that announce the same."""

    event: type[Event]
    producer: str
    consumers: tuple[str, ...]
    also_by: tuple[str, ...] = ()

    @property
    def producers(self) -> tuple[str, ...]:
        return (self.producer, *self.also_by)


CATALOGUE = (
    Entry(AgentCreatedV1, "agents", ("tasks", "status", "graphql", "events")),
    Entry(AgentUpdatedV1, "agents", ("tasks", "graphql", "events")),
    Entry(AgentDeletedV1, "agents", ("tasks", "status", "graphql", "events")),
    Entry(AgentStatusChangedV1, "agents", ("status", "graphql", "events")),
    Entry(TaskCreatedV1, "tasks", ("tasks", "agents", "status", "graphql", "events")),
    Entry(TaskStartedV1, "tasks", ("status", "graphql", "events")),
    Entry(TaskProgressV1, "tasks", ("status", "graphql", "events")),
    Entry(TaskCompletedV1, "tasks", ("tasks", "agents", "status", "graphql", "events")),
    Entry(TaskFailedV1, "tasks", ("agents", "status", "graphql", "events")),
    Entry(TaskCancelledV1, "tasks", ("tasks", "agents", "status", "graphql", "events")),
    Entry(TaskRetriedV1, "tasks", ("tasks", "agents", "status", "graphql", "events")),
    Entry(ApprovalRequestedV1, "tasks", ("agents", "status", "graphql", "events")),
    Entry(ApprovalDecidedV1, "tasks", ("tasks", "agents", "status", "graphql", "events")),
    Entry(ApprovalVoidedV1, "tasks", ("status", "graphql", "events")),
    Entry(TextGeneratedV1, "tasks", ("status",)),
    Entry(UserInteractionV1, "tasks", ("tasks", "status", "events")),
    Entry(AgentRespondedV1, "tasks", ("status", "events")),
    Entry(ResponseFailedV1, "tasks", ("status", "events")),
    Entry(SessionDeletedV1, "tasks", ("tasks", "events")),
    Entry(AgentMessageSentV1, "tasks", ("tasks", "status", "events")),
    Entry(CollaborationStartedV1, "tasks", ("tasks", "status", "events")),
    Entry(CollaborationProgressV1, "tasks", ("status", "events")),
    Entry(CollaborationCompletedV1, "tasks", ("status", "events")),
    Entry(CollaborationFailedV1, "tasks", ("status", "events")),
    Entry(CollaborationCancelledV1, "tasks", ("tasks", "status", "events")),
    Entry(ErrorOccurredV1, "tasks", ("events",), also_by=("events",)),
    Entry(AgentCreationRequestedV1, "graphql", ("agents",)),
    Entry(AgentUpdateRequestedV1, "graphql", ("agents",)),
    Entry(AgentDeletionRequestedV1, "graphql", ("agents",)),
    Entry(TaskCreationRequestedV1, "graphql", ("tasks",)),
    Entry(TaskCancellationRequestedV1, "graphql", ("tasks",)),
    Entry(ApprovalDecisionRequestedV1, "graphql", ("tasks",)),
    Entry(RequestRejectedV1, "agents", ("graphql",), also_by=("tasks",)),
    Entry(AccessRevokedV1, "auth", ("status", "graphql", "events")),
    Entry(UserChangedV1, "auth", ("events",)),
    Entry(ScheduledTaskV1, "events", ("tasks", "graphql", "events")),
    Entry(ScheduleChangedV1, "events", ("graphql", "events")),
)


def consumed_by(service: str) -> tuple[type[Event], ...]:
    return tuple(entry.event for entry in CATALOGUE if service in entry.consumers)


def sources_of(service: str) -> tuple[str, ...]:
    """The EventBridge sources that this service may publish under."""
    return _unique(entry.event.source for entry in CATALOGUE if service in entry.producers)


def _unique(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))
