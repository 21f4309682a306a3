"""What agents remember beyond one session: `AGENT#<agent>`, `MEMORY`."""

import json
from collections.abc import Callable

from chalicelib.tasks.models.contexts import Fact, Memory
from common.cache import CONTEXT, Cache, Entry
from common.dynamo import Put, Table
from common.events.base import Event
from common.rows import Row


class Memories:
    """Every write ends what the cache has of it."""

    def __init__(self, table: Table, cache: Callable[[], Cache]) -> None:
        self._table = table
        self._cache = cache

    def get(self, agent_id: str) -> Memory:
        row = self._row(agent_id)
        return _memory(row) if row else Memory(agent_id=agent_id)

    def shown(self, agent_id: str) -> Memory:
        """From the cache if it is there."""

        def load() -> Entry | None:
            row = self._row(agent_id)
            return Entry(row["version"], row) if row else None

        row = self._cache().read(CONTEXT, _name(agent_id), load)
        return _memory(row) if row else Memory(agent_id=agent_id)

    def replace(self, before: Memory, after: Memory, cause: Event | None = None) -> None:
        """Raises Conflict unless it is stored as `before`."""
        row = {
            "PK": f"AGENT#{after.agent_id}",
            "SK": "MEMORY",
            "longTerm": json.dumps(after.long_term, ensure_ascii=False),
            "facts": json.dumps([fact.wire() for fact in after.facts], ensure_ascii=False),
            "version": after.version,
        }
        self._table.write(Put(row, version=before.version or None), cause=cause)
        self._cache().forget(CONTEXT, _name(after.agent_id), after.version)

    def remove(self, agent_id: str) -> None:
        memory = self.get(agent_id)
        self._table.delete(f"AGENT#{agent_id}", "MEMORY")
        self._cache().forget(CONTEXT, _name(agent_id), memory.version + 1)

    def _row(self, agent_id: str) -> Row | None:
        return self._table.get(f"AGENT#{agent_id}", "MEMORY")


def _name(agent_id: str) -> str:
    return f"memory/{agent_id}"


def _memory(row: Row) -> Memory:
    return Memory(
        agent_id=row["PK"].removeprefix("AGENT#"),
        long_term=json.loads(row["longTerm"]),
        facts=[Fact.model_validate(fact) for fact in json.loads(row["facts"])],
        version=row["version"],
    )
