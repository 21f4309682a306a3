"""The read model's table: keys and rows live here and nowhere else."""

import json
from collections.abc import Sequence

from chalicelib.graphql.models.agents import Agent, AgentStatus
from chalicelib.graphql.models.sockets import Stream
from chalicelib.graphql.models.tasks import Task, TaskError, TaskStatus, ToldOf
from chalicelib.graphql.repository.lists import Slice, newest
from chalicelib.graphql.repository.updates import key_of_stream, stream_of
from common.actions import Key
from common.cursors import Position
from common.dynamo import ANY, Action, Put, Table
from common.events.tasks import PlannedStep, ToolInvocation
from common.rows import Row


class AgentRepository:
    def __init__(self, table: Table) -> None:
        self._table = table

    def find(self, agent_id: str) -> Agent | None:
        row = self._table.get(f"AGENT#{agent_id}", "METADATA")
        return _agent(row) if row else None

    def find_with_stream(self, agent_id: str) -> tuple[Agent | None, Stream]:
        """In one read."""
        row, stream = _with_stream(self._table, keys_of_agent(agent_id))
        return _agent(row) if row else None, stream

    def find_many(self, agent_ids: Sequence[str]) -> dict[str, Agent]:
        rows = self._table.get_many([(f"AGENT#{id}", "METADATA") for id in agent_ids])
        return {row["agentId"]: _agent(row) for row in rows}

    def list_for_user(self, user_id: str, limit: int, start: Position | None) -> Slice[Agent]:
        """Newest first."""
        return newest(self._table, f"USER#{user_id}", limit, start).of(_agent)

    def save(self, before: Agent, after: Agent, *more: Action) -> None:
        """Raises Conflict unless the agent is stored as `before`."""
        self._table.write(Put(_agent_row(after), version=before.version or None), *more)


class TaskRepository:
    def __init__(self, table: Table) -> None:
        self._table = table

    def find(self, task_id: str) -> Task | None:
        row = self._table.get(f"TASK#{task_id}", "METADATA")
        return _task(row) if row else None

    def find_with_stream(self, task_id: str, agent_id: str) -> tuple[Task | None, Stream]:
        """With its agent's stream, in one read."""
        row, stream = _with_stream(self._table, keys_of_task(task_id, agent_id))
        return _task(row) if row else None, stream

    def find_many(self, task_ids: Sequence[str]) -> dict[str, Task]:
        rows = self._table.get_many([(f"TASK#{id}", "METADATA") for id in task_ids])
        return {row["taskId"]: _task(row) for row in rows}

    def list_for_agent(self, agent_id: str, limit: int, start: Position | None) -> Slice[Task]:
        """Newest first."""
        return newest(self._table, f"AGENT#{agent_id}", limit, start).of(_task)

    def save(self, before: Task, after: Task, *more: Action) -> None:
        """Raises Conflict unless the task is stored as `before`."""
        self._table.write(self.put(before, after), *more)

    def calls(self, keys: Sequence[str]) -> dict[str, list[ToolInvocation]]:
        """By the key of the step that made them."""
        places = {_place_of_calls(key): key for key in keys}
        found = self._table.get_many(list(places))
        return {places[row["PK"], row["SK"]]: _calls(row) for row in found}

    def put_calls(self, task_id: str, calls: Sequence[ToolInvocation]) -> Put:
        """In one transaction with their task, which knows whether there are newer ones."""
        pk, sk = _place_of_calls(f"{task_id}#{calls[0].step}")
        told = json.dumps([call.wire() for call in calls], ensure_ascii=False)
        return Put({"PK": pk, "SK": sk, "calls": told}, version=ANY)

    def put(self, before: Task, after: Task) -> Put:
        return Put(_task_row(after), version=before.version or None)


def keys_of_agent(agent_id: str) -> list[Key]:
    """What an event of the agent changes: the agent, and its stream."""
    return [(f"AGENT#{agent_id}", "METADATA"), key_of_stream(agent_id)]


def keys_of_task(task_id: str, agent_id: str) -> list[Key]:
    """What an event of the task changes: the task, and its agent's stream."""
    return [(f"TASK#{task_id}", "METADATA"), key_of_stream(agent_id)]


def _with_stream(table: Table, keys: Sequence[Key]) -> tuple[Row | None, Stream]:
    found = table.get_many(keys)
    rows = {row["SK"]: row for row in found}
    return rows.get("METADATA"), stream_of(rows.get("STREAM"))


def _agent_row(agent: Agent) -> Row:
    """Not in the index until it can be shown, and not any more when it is deleted."""
    return {
        "PK": f"AGENT#{agent.id}",
        "SK": "METADATA",
        "GSI1PK": f"USER#{agent.user_id}" if agent.visible else None,
        "GSI1SK": f"AGENT#{agent.created_at}#{agent.id}" if agent.visible else None,
        "agentId": agent.id,
        "userId": agent.user_id,
        "name": agent.name,
        # Not escaped: the 100 KB that an agent may have can be in any script.
        "configuration": json.dumps(agent.configuration, ensure_ascii=False),
        "status": agent.status.value,
        "createdAt": agent.created_at,
        "updatedAt": agent.updated_at,
        "describedVersion": agent.described_version,
        "statusVersion": agent.status_version,
        "deleted": agent.deleted,
        "version": agent.version,
    }


def _agent(row: Row) -> Agent:
    return Agent(
        id=row["agentId"],
        user_id=row["userId"],
        name=row.get("name"),
        configuration=json.loads(row["configuration"]),
        status=AgentStatus(row["status"]),
        created_at=row.get("createdAt"),
        updated_at=row.get("updatedAt"),
        described_version=row["describedVersion"],
        status_version=row["statusVersion"],
        deleted=row["deleted"],
    )


def _place_of_calls(key: str) -> tuple[str, str]:
    task_id, _, step = key.partition("#")
    return f"TASK#{task_id}", f"CALLS#{step}"


def _calls(row: Row) -> list[ToolInvocation]:
    return [ToolInvocation.model_validate(each) for each in json.loads(row["calls"])]


def _task_row(task: Task) -> Row:
    return {
        "PK": f"TASK#{task.id}",
        "SK": "METADATA",
        "GSI1PK": f"AGENT#{task.agent_id}" if task.visible else None,
        "GSI1SK": f"TASK#{task.created_at}#{task.id}" if task.visible else None,
        "taskId": task.id,
        "agentId": task.agent_id,
        "userId": task.user_id,
        "description": task.description,
        "status": task.status.value,
        "currentStep": task.current_step,
        "totalSteps": task.total_steps,
        "plan": json.dumps([step.wire() for step in task.plan], ensure_ascii=False),
        "result": task.result,
        "resultTruncated": task.result_truncated,
        "errorCode": task.error.code if task.error else None,
        "errorMessage": task.error.message if task.error else None,
        "attempt": task.attempt,
        "approvals": json.dumps([each.wire() for each in task.approvals]),
        "calling": json.dumps([each.wire() for each in task.calling]),
        "createdAt": task.created_at,
        "completedAt": task.completed_at,
        "statusVersion": task.status_version,
        "progressVersion": task.progress_version,
        "version": task.version,
    }


def _task(row: Row) -> Task:
    failed = "errorCode" in row
    return Task(
        id=row["taskId"],
        agent_id=row["agentId"],
        user_id=row["userId"],
        description=row.get("description"),
        status=TaskStatus(row["status"]),
        current_step=row["currentStep"],
        total_steps=row["totalSteps"],
        plan=tuple(map(PlannedStep.model_validate, json.loads(row["plan"]))),
        result=row.get("result"),
        result_truncated=row["resultTruncated"],
        error=TaskError(code=row["errorCode"], message=row["errorMessage"]) if failed else None,
        attempt=row.get("attempt", 1),
        approvals=tuple(map(ToldOf.model_validate, json.loads(row.get("approvals", "[]")))),
        calling=tuple(map(ToldOf.model_validate, json.loads(row.get("calling", "[]")))),
        created_at=row.get("createdAt"),
        completed_at=row.get("completedAt"),
        status_version=row["statusVersion"],
        progress_version=row["progressVersion"],
    )
