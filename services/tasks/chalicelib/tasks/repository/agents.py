"""The tasks service's own copies of agents: `AGENT#<id>`, `SNAPSHOT`."""

import json

from chalicelib.tasks.models import AgentSnapshot
from common.dynamo import Put, Table
from common.events.base import Event
from common.rows import Row


class AgentSnapshots:
    def __init__(self, table: Table) -> None:
        self._table = table

    def get(self, agent_id: str) -> AgentSnapshot | None:
        row = self._table.get(f"AGENT#{agent_id}", "SNAPSHOT")
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


def _snapshot(row: Row) -> AgentSnapshot:
    return AgentSnapshot(
        id=row["agentId"],
        user_id=row["userId"],
        configuration=json.loads(row["configuration"]),
        version=row["version"],
        deleted=row["deleted"],
    )
