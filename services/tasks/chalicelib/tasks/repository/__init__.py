"""The tasks table. Keys and rows live here and nowhere else, one module for each kind of them."""

from typing import NamedTuple, Self

from chalicelib.tasks.repository.agents import AgentSnapshots
from chalicelib.tasks.repository.approvals import Approvals
from chalicelib.tasks.repository.journal import Journal, Journals
from chalicelib.tasks.repository.tasks import TaskRepository
from chalicelib.tasks.repository.usage import UsageCounts
from common.dynamo import Table

__all__ = ["Journal", "Journals", "Store", "TaskRepository"]


class Store(NamedTuple):
    """All that the service keeps."""

    tasks: TaskRepository
    agents: AgentSnapshots
    approvals: Approvals
    journals: Journals
    usage: UsageCounts

    @classmethod
    def over(cls, table: Table) -> Self:
        return cls(
            TaskRepository(table),
            AgentSnapshots(table),
            Approvals(table),
            Journals(table),
            UsageCounts(table),
        )
