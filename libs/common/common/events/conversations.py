"""What the tasks service announces of conversations. The aggregate is the session."""

from typing import ClassVar

from common.events.base import Event


class UserInteractionV1(Event):
    """A user said something to an agent; the agent is to answer."""

    source: ClassVar[str] = "realtime-agentic-api.tasks"

    agent_id: str
    session_id: str
    message_id: str
    content: str


class AgentRespondedV1(Event):
    """The agent answered a message. An answer above 20,000 characters is cut short here; the
    message has all of it."""

    source: ClassVar[str] = "realtime-agentic-api.tasks"

    agent_id: str
    session_id: str
    message_id: str
    content: str
    content_truncated: bool = False


class ResponseFailedV1(Event):
    """The agent did not answer a message, for the reason given; the conversation can go on."""

    source: ClassVar[str] = "realtime-agentic-api.tasks"

    agent_id: str
    session_id: str
    message_id: str
    error_code: str
    error_message: str


class SessionDeletedV1(Event):
    """A conversation was deleted; whatever was said in it is to be forgotten."""

    source: ClassVar[str] = "realtime-agentic-api.tasks"

    agent_id: str
    session_id: str
