"""What the agents service announces."""

from typing import Any, ClassVar

from common.events.base import Event


class AgentCreatedV1(Event):
    """A user created an agent; it can be given tasks from now on."""

    source: ClassVar[str] = "realtime-agentic-api.agents"

    agent_id: str
    name: str
    configuration: dict[str, Any]


class AgentUpdatedV1(Event):
    """An agent's name or configuration changed; steps started from now on use the new one."""

    source: ClassVar[str] = "realtime-agentic-api.agents"

    agent_id: str
    name: str
    configuration: dict[str, Any]


class AgentDeletedV1(Event):
    """An agent is gone; whatever belongs to it is to be stopped or forgotten."""

    source: ClassVar[str] = "realtime-agentic-api.agents"

    agent_id: str


class AgentStatusChangedV1(Event):
    """What the agent is doing changed; clients watching it should be told."""

    source: ClassVar[str] = "realtime-agentic-api.status"

    agent_id: str
    old_status: str
    new_status: str
