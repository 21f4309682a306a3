"""The agents table: keys and rows live here and nowhere else."""

import json
from typing import NamedTuple

from chalicelib.agents.models import ACTIVE, Agent, AgentNotFound, AgentStatus, TaskState
from common.cache import AGENT, Cache, Entry
from common.clock import epoch_in
from common.cursors import Position
from common.dynamo import Count, Delete, Put, Table
from common.events.base import Event
from common.idempotency import Once
from common.quotas import Quota
from common.rows import Row

ENDED_TASK_KEPT_SECONDS = 7 * 24 * 3600


class TaskKnown(NamedTuple):
    """What is known of one of the agent's tasks: nothing, or its state as of which version."""

    state: TaskState | None
    version: int


class AgentRepository:
    """Every write of an agent ends what the cache has of it."""

    def __init__(self, table: Table, cache: Cache) -> None:
        self._table = table
        self._cache = cache

    def get(self, agent_id: str) -> Agent:
        """As it is: for whoever is going to change it."""
        return _found(agent_id, self._row(agent_id))

    def shown(self, agent_id: str) -> Agent:
        """From the cache if it is there."""
        return _found(agent_id, self._cache.read(AGENT, agent_id, lambda: self._entry(agent_id)))

    def _entry(self, agent_id: str) -> Entry | None:
        row = self._row(agent_id)
        return Entry(row["version"], row) if row else None

    def _row(self, agent_id: str) -> Row | None:
        return self._table.get(f"AGENT#{agent_id}", "METADATA")

    def list_for_user(
        self, user_id: str, limit: int, start: Position | None
    ) -> tuple[list[Agent], Position | None]:
        """Newest first."""
        page = self._table.query(
            f"USER#{user_id}", index="GSI1", limit=limit, start=start, forward=False
        )
        return [_agent(row) for row in page.rows], page.position

    def add(self, agent: Agent, created: Event, once: Once | None, quota: Quota) -> None:
        """Raises QuotaExceeded if its owner has as many as they may have."""
        self._table.write(Put(_row(agent)), _counted(agent, 1, quota), events=[created], once=once)

    def replace(self, before: Agent, after: Agent, *events: Event) -> None:
        """Raises Conflict unless the agent is stored as `before`."""
        self._table.write(Put(_row(after), version=before.version), events=events)
        self._cache.forget(AGENT, after.id, after.version)

    def remove(self, agent: Agent, deleted: Event) -> None:
        self._table.write(
            Delete(f"AGENT#{agent.id}", "METADATA", version=agent.version),
            _counted(agent, -1),
            events=[deleted],
        )
        self._cache.forget(AGENT, agent.id, agent.version + 1)

    def get_with_task(self, agent_id: str, task_id: str) -> tuple[Agent, TaskKnown]:
        """In one read."""
        pk, of_task = f"AGENT#{agent_id}", f"TASK#{task_id}"
        rows = {row["SK"]: row for row in self._table.get_many([(pk, "METADATA"), (pk, of_task)])}
        task = rows.get(of_task)
        known = TaskKnown(task["state"], task["version"]) if task else TaskKnown(None, 0)
        return _found(agent_id, rows.get("METADATA")), known

    def record_task(
        self,
        before: Agent,
        after: Agent,
        known: TaskKnown,
        state: TaskState,
        cause: Event,
        *events: Event,
    ) -> None:
        """The task's new state and the agent's, in one transaction with what caused them."""
        task = {
            "PK": f"AGENT#{after.id}",
            "SK": f"TASK#{cause.aggregate_id}",
            "state": state,
            "version": cause.aggregate_version,
            "TTL": None if state in ACTIVE else epoch_in(ENDED_TASK_KEPT_SECONDS),
        }
        self._table.write(
            Put(task, version=known.version or None),
            Put(_row(after), version=before.version),
            events=events,
            cause=cause,
        )
        self._cache.forget(AGENT, after.id, after.version)


def _counted(agent: Agent, amount: int, quota: Quota | None = None) -> Count:
    return Count(f"USER#{agent.user_id}", "AGENTS", amount, quota)


def _row(agent: Agent) -> Row:
    return {
        "PK": f"AGENT#{agent.id}",
        "SK": "METADATA",
        "GSI1PK": f"USER#{agent.user_id}",
        "GSI1SK": f"AGENT#{agent.created_at}#{agent.id}",
        "agentId": agent.id,
        "userId": agent.user_id,
        "name": agent.name,
        "configuration": json.dumps(agent.configuration),
        "status": agent.status.value,
        "revision": agent.revision,
        "createdAt": agent.created_at,
        "updatedAt": agent.updated_at,
        "version": agent.version,
        "activeTasks": agent.active_tasks,
        "waitingTasks": agent.waiting_tasks,
        "lastEndedAt": agent.last_ended_at,
        "lastOutcome": agent.last_outcome,
    }


def _found(agent_id: str, row: Row | None) -> Agent:
    if row is None:
        raise AgentNotFound(agent_id)
    return _agent(row)


def _agent(row: Row) -> Agent:
    return Agent(
        id=row["agentId"],
        user_id=row["userId"],
        name=row["name"],
        configuration=json.loads(row["configuration"]),
        status=AgentStatus(row["status"]),
        revision=row["revision"],
        created_at=row["createdAt"],
        updated_at=row["updatedAt"],
        version=row["version"],
        active_tasks=row["activeTasks"],
        waiting_tasks=row["waitingTasks"],
        last_ended_at=row["lastEndedAt"],
        last_outcome=row["lastOutcome"],
    )
