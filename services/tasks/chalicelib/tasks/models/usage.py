"""How much of their quotas users have used."""

from common.models import Model


class Used(Model):
    used: int
    limit: int


class AgentUsage(Model):
    """Model tokens of today, by the agent that used them."""

    agent_id: str
    tokens: int


class Usage(Model):
    """`tokens_per_day` and `agents` are about the day that ends at `resets_at`."""

    active_tasks: Used
    tokens_per_day: Used
    agents: list[AgentUsage]
    resets_at: str
