"""What the tasks service knows of agents."""

from typing import Any, Literal

from chalicelib.tasks.models.plans import PlannedStep
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

    def asks_before_step(self, step: PlannedStep) -> bool:
        """Whether a person must agree to the step: the plan or the agent's owner wants it."""
        return step.needs_approval or self.asks_before("steps", step.type)


class AgentNotFound(NotFound):
    def __init__(self, agent_id: str) -> None:
        super().__init__(f"Agent {agent_id} does not exist", agentId=agent_id)
