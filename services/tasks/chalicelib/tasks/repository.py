"""The tasks table: keys and rows live here and nowhere else.

A task's partition `TASK#<id>` holds the task, its plan and one row per step that ended, so that one
consistent query brings everything a step needs. Tasks of an agent are listed by the index. What a
user has used of their quotas is counted in `USER#<id>`.
"""

import json

from chalicelib.tasks.models import (
    AgentSnapshot,
    StepRecord,
    Task,
    TaskError,
    TaskFile,
    TaskNotFound,
    TaskPlan,
)
from common.clock import epoch_in
from common.cursors import Position
from common.dynamo import Action, Count, Put, Table
from common.events.base import Event
from common.idempotency import Once
from common.quotas import Quota
from common.rows import Row

ROW_CHARS = 80_000
"""At most four bytes each."""
TOKENS_KEPT_SECONDS = 7 * 24 * 3600


class TaskRepository:
    def __init__(self, table: Table) -> None:
        self._table = table

    def get(self, task_id: str) -> Task:
        row = self._table.get(f"TASK#{task_id}", "METADATA")
        if row is None:
            raise TaskNotFound(task_id)
        return _task(row)

    def file(self, task_id: str) -> TaskFile:
        """Raises TaskNotFound."""
        rows, start = [], None
        while True:
            page = self._table.query(f"TASK#{task_id}", start=start)
            rows += page.rows
            start = page.position
            if not start:
                return _file(task_id, rows)

    def list_for_agent(
        self, agent_id: str, limit: int, start: Position | None
    ) -> tuple[list[Task], Position | None]:
        """Newest first."""
        page = self._table.query(
            f"AGENT#{agent_id}", index="GSI1", limit=limit, start=start, forward=False
        )
        return [_task(row) for row in page.rows], page.position

    def add(
        self,
        task: Task,
        created: Event,
        once: Once | None,
        quota: Quota,
        cause: Event | None = None,
    ) -> None:
        """Raises QuotaExceeded if its owner has as many active tasks as they may have."""
        one_more = Count(*_active_tasks(task.user_id), 1, quota)
        put = Put(_task_row(task))
        self._table.write(put, one_more, events=[created], once=once, cause=cause)

    def announce(self, event: Event, cause: Event) -> None:
        """Once for each cause."""
        self._table.write(events=[event], cause=cause)

    def replay(self, once: Once | None) -> None:
        self._table.replay(once)

    def replace(self, before: Task, after: Task, *events: Event, once: Once | None = None) -> None:
        """Raises Conflict unless the task is stored as `before`. Only here does a task end, so that
        it stops counting as active once."""
        actions: list[Action] = [Put(_task_row(after), version=before.version)]
        if after.status.is_terminal and not before.status.is_terminal:
            actions.append(Count(*_active_tasks(after.user_id), -1))
        self._table.write(*actions, events=events, once=once)

    def add_plan(self, before: Task, after: Task, plan: TaskPlan, planned: Event) -> None:
        row = {"PK": f"TASK#{after.id}", "SK": "PLAN", "steps": plan.model_dump_json()}
        self._table.write(Put(row), Put(_task_row(after), version=before.version), events=[planned])

    def add_record(self, before: Task, after: Task, record: StepRecord, *events: Event) -> None:
        """A step ends once: a second record of the same step is a Conflict."""
        rows = [Put(row) for row in _record_rows(after.id, record)]
        put = Put(_task_row(after), version=before.version)
        self._table.write(*rows, put, events=events)

    def active_tasks(self, user_id: str) -> int:
        return self._table.number(*_active_tasks(user_id))

    def tokens(self, user_id: str, day: str) -> int:
        return self._table.number(*_tokens(user_id, day))

    def add_tokens(self, user_id: str, day: str, tokens: int) -> None:
        self._table.add(*_tokens(user_id, day), tokens, ttl=epoch_in(TOKENS_KEPT_SECONDS))

    def agent(self, agent_id: str) -> AgentSnapshot | None:
        row = self._table.get(f"AGENT#{agent_id}", "SNAPSHOT")
        return _snapshot(row) if row else None

    def keep_agent(self, known: AgentSnapshot | None, now: AgentSnapshot, cause: Event) -> None:
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


def _active_tasks(user_id: str) -> tuple[str, str]:
    return f"USER#{user_id}", "TASKS"


def _tokens(user_id: str, day: str) -> tuple[str, str]:
    return f"USER#{user_id}", f"TOKENS#{day}"


def _task_row(task: Task) -> Row:
    return {
        "PK": f"TASK#{task.id}",
        "SK": "METADATA",
        "GSI1PK": f"AGENT#{task.agent_id}",
        "GSI1SK": f"TASK#{task.created_at}#{task.id}",
        "taskId": task.id,
        "agentId": task.agent_id,
        "userId": task.user_id,
        "description": task.description,
        "status": task.status.value,
        "currentStep": task.current_step,
        "totalSteps": task.total_steps,
        "result": task.result,
        "error": task.error.model_dump_json(by_alias=True) if task.error else None,
        "createdAt": task.created_at,
        "startedAt": task.started_at,
        "completedAt": task.completed_at,
        "attempt": task.attempt,
        "version": task.version,
        "correlationId": task.correlation_id,
        "tokensPerDay": task.tokens_per_day,
    }


def _task(row: Row) -> Task:
    fields = {name: row[name] for name in row.keys() - _KEYS}
    fields["id"] = fields.pop("taskId")
    if "error" in fields:
        fields["error"] = TaskError.model_validate_json(fields["error"])
    return Task.model_validate(fields)


_KEYS = {"PK", "SK", "GSI1PK", "GSI1SK"}


def _record_rows(task_id: str, record: StepRecord) -> list[Row]:
    """A long output goes on in rows of its own: DynamoDB's limit is 400 KB for each."""
    output = record.output or ""
    parts = [output[i : i + ROW_CHARS] for i in range(0, len(output), ROW_CHARS)] or [""]
    key = {"PK": f"TASK#{task_id}", "index": record.index}
    first: Row = key | {
        "SK": f"STEP#{record.index:04d}",
        "status": record.status.value,
        "output": parts[0],
        "startedAt": record.started_at,
        "completedAt": record.completed_at,
    }
    more = [
        key | {"SK": f"STEP#{record.index:04d}#{number:02d}", "output": part}
        for number, part in enumerate(parts[1:])
    ]
    return [first, *more]


def _records(rows: list[Row]) -> dict[int, StepRecord]:
    """In the order of their keys, as a query returns them: a step's first row, then the others."""
    found: dict[int, Row] = {}
    for row in rows:
        if row["index"] in found:
            found[row["index"]]["output"] += row["output"]
        else:
            found[row["index"]] = {name: row[name] for name in row.keys() - _KEYS}
    return {index: StepRecord.model_validate(fields) for index, fields in found.items()}


def _file(task_id: str, rows: list[Row]) -> TaskFile:
    by_key = {row["SK"]: row for row in rows}
    if "METADATA" not in by_key:
        raise TaskNotFound(task_id)
    plan = by_key.get("PLAN")
    steps = [row for key, row in by_key.items() if key.startswith("STEP#")]
    return TaskFile(
        task=_task(by_key["METADATA"]),
        plan=TaskPlan.model_validate_json(plan["steps"]) if plan else None,
        records=_records(steps),
    )


def _snapshot(row: Row) -> AgentSnapshot:
    return AgentSnapshot(
        id=row["agentId"],
        user_id=row["userId"],
        configuration=json.loads(row["configuration"]),
        version=row["version"],
        deleted=row["deleted"],
    )
