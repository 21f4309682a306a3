"""What the tasks service knows of agents."""

from typing import Any, Literal

from common.errors import NotFound
from common.models import Model


class AgentSnapshot(Model):
    """The tasks service's own copy of an agent, kept from the agents service's events."""

    id: str
    user_id: str
    configuration: dict[str, Any]
    version: int
    deleted: bool = False

    @property
    def tools(self) -> dict[str, dict[str, Any]]:
        """Definitions by name."""
        return {tool["name"]: tool for tool in self.configuration["tools"]}

    def asks_before(self, kind: Literal["tools", "steps"], name: str) -> bool:
        """Whether its owner wants to approve this tool, or steps of this type."""
        policy = self.configuration.get("approvalPolicy") or {}
        return name in (policy.get(kind) or [])


class AgentNotFound(NotFound):
    def __init__(self, agent_id: str) -> None:
        super().__init__(f"Agent {agent_id} does not exist", agentId=agent_id)
