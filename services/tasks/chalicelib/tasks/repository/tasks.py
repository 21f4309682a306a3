"""Tasks: `TASK#<id>` holds the task, its plan and one row per step that ended, so that one query
brings everything a step needs. Tasks of an agent are listed by the index.
"""

import json

from chalicelib.tasks.models import (
    StepRecord,
    Task,
    TaskError,
    TaskFile,
    TaskNotFound,
    TaskPlan,
)
from chalicelib.tasks.repository.parts import in_parts, joined
from chalicelib.tasks.repository.usage import one_task_less, one_task_more
from common.cursors import Position
from common.dynamo import ANY, Action, Put, Table
from common.events.base import Event
from common.idempotency import Once
from common.quotas import Quota
from common.rows import Row


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
        one_more = one_task_more(task.user_id, quota)
        put = Put(task_row(task))
        self._table.write(put, one_more, events=[created], once=once, cause=cause)

    def replay(self, once: Once | None) -> None:
        self._table.replay(once)

    def replace(self, before: Task, after: Task, *events: Event, once: Once | None = None) -> None:
        """Raises Conflict unless the task is stored as `before`."""
        self._table.write(*_changed(before, after), events=events, once=once)

    def add_plan(self, before: Task, file: TaskFile, *events: Event) -> None:
        """With what is on record of its steps already. Raises as `replace`."""
        row = {
            "PK": f"TASK#{before.id}",
            "SK": "PLAN",
            "plan": file.agreed_plan.model_dump_json(),
        }
        records = [row for record in file.records.values() for row in _recorded(before.id, record)]
        self._table.write(Put(row), *records, *_changed(before, file.task), events=events)

    def retry(
        self, before: Task, after: Task, retried: Event, quota: Quota, once: Once | None
    ) -> None:
        """The task becomes active again. Raises as `add` and `replace`."""
        put = Put(task_row(after), version=before.version)
        one_more = one_task_more(after.user_id, quota)
        self._table.write(put, one_more, events=[retried], once=once)

    def announce(self, event: Event, cause: Event | None = None) -> None:
        """What changes nothing that is kept; once for each cause, if it has one."""
        self._table.write(events=[event], cause=cause)

    def add_record(self, before: Task, after: Task, record: StepRecord, *events: Event) -> None:
        """Over the record of an earlier attempt. Raises as `replace`, so that a step ends once in
        each."""
        actions = [*_recorded(after.id, record), *_changed(before, after)]
        self._table.write(*actions, events=events)


def _changed(before: Task, after: Task) -> list[Action]:
    """Only here does a task end, so that it stops counting as active once."""
    actions: list[Action] = [Put(task_row(after), version=before.version)]
    if after.status.is_terminal and not before.status.is_terminal:
        actions.append(one_task_less(after.user_id))
    return actions


def task_row(task: Task) -> Row:
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
        "tokens": task.tokens,
        "waitingFor": task.waiting_for,
        "version": task.version,
        "correlationId": task.correlation_id,
        "traceparent": task.traceparent,
        "tokensPerDay": task.tokens_per_day,
        "messages": task.messages,
    }


def _task(row: Row) -> Task:
    fields = {name: row[name] for name in row.keys() - _KEYS}
    fields["id"] = fields.pop("taskId")
    if "error" in fields:
        fields["error"] = TaskError.model_validate_json(fields["error"])
    return Task.model_validate(fields)


_KEYS = {"PK", "SK", "GSI1PK", "GSI1SK"}


def _recorded(task_id: str, record: StepRecord) -> list[Action]:
    row = {
        "PK": f"TASK#{task_id}",
        "SK": f"STEP#{record.index:04d}",
        "index": record.index,
        "status": record.status.value,
        "output": record.output,
        "tokens": record.tokens,
        "decision": record.decision.model_dump_json(by_alias=True) if record.decision else None,
        "startedAt": record.started_at,
        "completedAt": record.completed_at,
    }
    return [Put(part, version=ANY) for part in in_parts(row, "output")]


def _record(row: Row) -> StepRecord:
    fields = {name: row[name] for name in row.keys() - _KEYS}
    if "decision" in fields:
        fields["decision"] = json.loads(fields["decision"])
    return StepRecord.model_validate(fields)


def _file(task_id: str, rows: list[Row]) -> TaskFile:
    by_key = {row["SK"]: row for row in rows}
    if "METADATA" not in by_key:
        raise TaskNotFound(task_id)
    plan = by_key.get("PLAN")
    steps = [row for key, row in by_key.items() if key.startswith("STEP#")]
    return TaskFile(
        task=_task(by_key["METADATA"]),
        plan=TaskPlan.model_validate_json(plan["plan"]) if plan else None,
        records={row["index"]: _record(row) for row in joined(steps, "output")},
    )
