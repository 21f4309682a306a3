"""What the graphql service does: follows the events, and answers for what it learned from them."""

import re
from collections.abc import Callable
from typing import Protocol, TypeVar

from chalicelib.graphql.loaders import Loader
from chalicelib.graphql.models.agents import Agent
from chalicelib.graphql.models.tasks import Task
from chalicelib.graphql.repository import AgentRepository, TaskRepository
from common.dynamo import AlreadyHandled, retry_conflicts
from common.errors import NotFound
from common.events.base import Event
from common.models import ID
from common.principals import Principal

E = TypeVar("E", bound=Event)


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


async def load_agent(principal: Principal, agents: Loader[Agent], agent_id: str) -> Agent:
    agent = await load_owned(principal, agents, agent_id)
    if agent is None:
        raise NotFound(f"Agent {agent_id[:64]} does not exist", agentId=agent_id[:64])
    return agent


def follow_agent(agents: AgentRepository, event: E, change: Callable[[Agent, E], Agent]) -> None:
    """No inbox row: an event that took effect before changes nothing, however often it comes."""

    def attempt() -> None:
        unknown = Agent(id=event.aggregate_id, user_id=event.user_id)
        before = agents.find(event.aggregate_id) or unknown
        after = change(before, event)
        if after == before:
            raise AlreadyHandled(event.event_id)
        agents.save(before, after)

    retry_conflicts(attempt)


def follow_task(
    tasks: TaskRepository, agent_id: str, event: E, change: Callable[[Task, E], Task]
) -> None:
    def attempt() -> None:
        unknown = Task(id=event.aggregate_id, agent_id=agent_id, user_id=event.user_id)
        before = tasks.find(event.aggregate_id) or unknown
        after = change(before, event)
        if after == before:
            raise AlreadyHandled(event.event_id)
        tasks.save(before, after)

    retry_conflicts(attempt)
