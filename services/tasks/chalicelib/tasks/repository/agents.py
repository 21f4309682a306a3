"""The tasks service's own copies of agents: `AGENT#<id>`, `SNAPSHOT`."""

import json
from collections.abc import Callable

from chalicelib.tasks.models import AgentSnapshot
from common.cache import AGENT, Cache, Entry
from common.dynamo import Put, Table
from common.events.base import Event
from common.rows import Row


class AgentSnapshots:
    def __init__(self, table: Table, cache: Callable[[], Cache]) -> None:
        self._table = table
        self._cache = cache

    def get(self, agent_id: str) -> AgentSnapshot | None:
        row = self._row(agent_id)
        return _snapshot(row) if row else None

    def shown(self, agent_id: str) -> AgentSnapshot | None:
        """From the cache if it is there: for whoever reads and starts nothing."""

        def load() -> Entry | None:
            row = self._row(agent_id)
            return Entry(row["version"], row) if row else None

        row = self._cache().read(AGENT, _name(agent_id), load)
        return _snapshot(row) if row else None

    def keep(self, known: AgentSnapshot | None, now: AgentSnapshot, cause: Event) -> None:
        row = {
            "PK": f"AGENT#{now.id}",
            "SK": "SNAPSHOT",
            "agentId": now.id,
            "userId": now.user_id,
            "configuration": json.dumps(now.configuration),
            "version": now.version,
            "deleted": now.deleted,
        }
        self._table.write(Put(row, version=known.version if known else None), cause=cause)
        self._cache().forget(AGENT, _name(now.id), now.version)

    def _row(self, agent_id: str) -> Row | None:
        return self._table.get(f"AGENT#{agent_id}", "SNAPSHOT")


def _name(agent_id: str) -> str:
    """Not that of the agents service's own entry: they share one Redis."""
    return f"snapshot/{agent_id}"


def _snapshot(row: Row) -> AgentSnapshot:
    return AgentSnapshot(
        id=row["agentId"],
        user_id=row["userId"],
        configuration=json.loads(row["configuration"]),
        version=row["version"],
        deleted=row["deleted"],
    )
