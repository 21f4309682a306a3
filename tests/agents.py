"""What the agents service announces of an agent, as the other services receive it."""

from typing import Any

from common.events.agents import AgentCreatedV1, AgentDeletedV1, AgentUpdatedV1

CONFIGURATION = {"llmProvider": "openai", "model": "simulated", "tools": []}


def _about(agent_id: str, version: int, owner: str) -> dict[str, Any]:
    return {
        "agent_id": agent_id,
        "user_id": owner,
        "aggregate_id": agent_id,
        "aggregate_version": version,
    }


def created(
    agent_id: str, owner: str = "ada", version: int = 1, **configuration: Any
) -> AgentCreatedV1:
    about = _about(agent_id, version, owner)
    return AgentCreatedV1(name="helper", configuration=CONFIGURATION | configuration, **about)


def updated(
    agent_id: str, version: int, owner: str = "ada", **configuration: Any
) -> AgentUpdatedV1:
    about = _about(agent_id, version, owner)
    return AgentUpdatedV1(name="helper", configuration=CONFIGURATION | configuration, **about)


def deleted(agent_id: str, version: int, owner: str = "ada") -> AgentDeletedV1:
    return AgentDeletedV1(**_about(agent_id, version, owner))
