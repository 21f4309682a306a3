"""One piece of work for a model: what use cases ask the runtime for."""

from collections.abc import Callable
from typing import NamedTuple

from chalicelib.tasks.models import AgentSnapshot
from chalicelib.tasks.repository import Journal

Deadline = Callable[[], float]
"""The seconds that are left."""


class Account(NamedTuple):
    """Who pays for a model's tokens, and for which agent."""

    user_id: str
    agent_id: str
    tokens_per_day: int


class Job(NamedTuple):
    """Who does it for whom, where it is on record, and how long it may take. `on_text` hears what
    the model says while it says it."""

    agent: AgentSnapshot
    account: Account
    journal: Journal
    deadline: Deadline
    on_text: Callable[[str], None] | None = None
