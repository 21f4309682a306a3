"""What the tasks service announces of agents that work together."""

from typing import ClassVar

from common.events.base import Event


class AgentMessageSentV1(Event):
    """An agent (`agentId`) told another one of the same owner something, of its own or as a handoff
    in a collaboration; it goes into the other's inbox, for its next task or for the task named."""

    source: ClassVar[str] = "realtime-agentic-api.tasks"

    message_id: str
    agent_id: str
    to_agent_id: str
    content: str
    collaboration_id: str | None = None
    task_id: str | None = None


class CollaborationStartedV1(Event):
    """A user set agents to work together; their work is to be coordinated."""

    source: ClassVar[str] = "realtime-agentic-api.tasks"

    collaboration_id: str
    agent_ids: list[str]
    collaboration_pattern: str


class CollaborationProgressV1(Event):
    """A participant of a collaboration began or ended its part; `participant` counts from 1."""

    source: ClassVar[str] = "realtime-agentic-api.tasks"

    collaboration_id: str
    participant: int
    participants: int
    agent_id: str
    task_id: str
    status: str


class CollaborationCompletedV1(Event):
    """All participants have ended, and at least one of them with a result. Statuses and results are
    in the participants' order; results are cut at 1,000 characters, the collaboration has more."""

    source: ClassVar[str] = "realtime-agentic-api.tasks"

    collaboration_id: str
    agent_ids: list[str]
    statuses: list[str]
    results: list[str]


class CollaborationFailedV1(Event):
    """The collaboration ended without any result, for the reason given."""

    source: ClassVar[str] = "realtime-agentic-api.tasks"

    collaboration_id: str
    agent_ids: list[str]
    error_code: str
    error_message: str


class CollaborationCancelledV1(Event):
    """The collaboration was stopped by its owner; its participants' tasks are to be, too."""

    source: ClassVar[str] = "realtime-agentic-api.tasks"

    collaboration_id: str
    agent_ids: list[str]
