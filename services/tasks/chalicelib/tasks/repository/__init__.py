"""The tasks table. Keys and rows live here and nowhere else, one module for each kind of them."""

from collections.abc import Callable
from typing import NamedTuple, Self

from chalicelib.tasks.repository.agents import AgentSnapshots
from chalicelib.tasks.repository.approvals import Approvals
from chalicelib.tasks.repository.collaborations import CollaborationRepository
from chalicelib.tasks.repository.inbox import InboxRepository
from chalicelib.tasks.repository.journal import Journal, Journals
from chalicelib.tasks.repository.memories import Memories
from chalicelib.tasks.repository.sessions import Sessions
from chalicelib.tasks.repository.tasks import TaskRepository
from chalicelib.tasks.repository.usage import UsageCounts
from common.cache import Cache
from common.dynamo import Table

__all__ = ["Journal", "Journals", "Store", "TaskRepository"]


class Store(NamedTuple):
    """All that the service keeps."""

    tasks: TaskRepository
    agents: AgentSnapshots
    approvals: Approvals
    journals: Journals
    usage: UsageCounts
    sessions: Sessions
    memories: Memories
    collaborations: CollaborationRepository
    inbox: InboxRepository

    @classmethod
    def over(cls, table: Table, cache: Callable[[], Cache]) -> Self:
        """The cache is made when it is asked: most of what is kept here needs none."""
        return cls(
            TaskRepository(table),
            AgentSnapshots(table, cache),
            Approvals(table),
            Journals(table),
            UsageCounts(table),
            Sessions(table, cache),
            Memories(table, cache),
            CollaborationRepository(table),
            InboxRepository(table),
        )
