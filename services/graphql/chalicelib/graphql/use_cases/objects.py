"""What a caller may see of what was learned from the events."""

import re
from typing import Protocol, TypeVar

from chalicelib.graphql.loaders import Loader
from chalicelib.graphql.models.agents import Agent
from common.errors import NotFound
from common.models import ID
from common.principals import Principal


class Owned(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def user_id(self) -> str: ...
    @property
    def visible(self) -> bool: ...


T = TypeVar("T", bound=Owned)


def owned(principal: Principal, found: T | None) -> T | None:
    """The one owner check of this service: None for what is missing, 403 for another user's."""
    if found is None or not found.visible:
        return None
    principal.require_owner(found.user_id, f"{type(found).__name__} {found.id}")
    return found


async def load_owned(principal: Principal, loader: Loader[T], id: str) -> T | None:
    """What cannot be an id cannot exist, and may be too long to ask the table for."""
    return owned(principal, await loader.load(id)) if re.fullmatch(ID, id) else None


def require_id(id: str) -> None:
    """What cannot be an id cannot exist."""
    if not re.fullmatch(ID, id):
        raise NotFound("There is nothing with this id")


async def load_agent(principal: Principal, agents: Loader[Agent], agent_id: str) -> Agent:
    agent = await load_owned(principal, agents, agent_id)
    if agent is None:
        raise NotFound(f"Agent {agent_id[:64]} does not exist", agentId=agent_id[:64])
    return agent
