"""Approvals: `APPROVAL#<id>`, listed by their user; what they hold up is written with them."""

import json

from chalicelib.tasks.models import Task
from chalicelib.tasks.models.approvals import Approval, ApprovalNotFound
from chalicelib.tasks.repository.tasks import task_row
from common.cursors import Position
from common.dynamo import Action, Put, Table
from common.events.base import Event
from common.idempotency import Once
from common.rows import Row

_KEYS = {"PK", "SK", "GSI1PK", "GSI1SK"}


class Approvals:
    def __init__(self, table: Table) -> None:
        self._table = table

    def find(self, approval_id: str) -> Approval | None:
        row = self._table.get(f"APPROVAL#{approval_id}", "METADATA")
        return _approval(row) if row else None

    def get(self, approval_id: str) -> Approval:
        found = self.find(approval_id)
        if found is None:
            raise ApprovalNotFound(approval_id)
        return found

    def list_for_user(
        self, user_id: str, limit: int, start: Position | None
    ) -> tuple[list[Approval], Position | None]:
        """Newest first."""
        page = self._table.query(
            f"USER#{user_id}#APPROVALS", index="GSI1", limit=limit, start=start, forward=False
        )
        return [_approval(row) for row in page.rows], page.position

    def ask(self, approval: Approval, before: Task, after: Task, *events: Event) -> None:
        """Raises Conflict unless the task is stored as `before`, and if it was asked already."""
        put = Put(task_row(after), version=before.version)
        self._table.write(Put(_row(approval)), put, events=events)

    def decide(
        self,
        approval: Approval,
        after: Approval,
        tasks: tuple[Task, Task] | None,
        *events: Event,
        once: Once | None = None,
    ) -> None:
        """Raises Conflict unless both are stored as they were read."""
        actions: list[Action] = [Put(_row(after), version=approval.version)]
        if tasks:
            actions.append(Put(task_row(tasks[1]), version=tasks[0].version))
        self._table.write(*actions, events=events, once=once)

    def wait(self, approval: Approval, waiting: Approval) -> None:
        self._table.write(Put(_row(waiting), version=approval.version))


def _row(approval: Approval) -> Row:
    fields = approval.model_dump(by_alias=True, mode="json")
    parameters = None if approval.parameters is None else json.dumps(approval.parameters)
    return {
        "PK": f"APPROVAL#{approval.id}",
        "SK": "METADATA",
        "GSI1PK": f"USER#{approval.user_id}#APPROVALS",
        "GSI1SK": f"{approval.created_at}#{approval.id}",
        **fields,
        "parameters": parameters,
        "version": approval.version,
        "token": approval.token,
    }


def _approval(row: Row) -> Approval:
    fields = {name: row[name] for name in row.keys() - _KEYS}
    if "parameters" in fields:
        fields["parameters"] = json.loads(fields["parameters"])
    return Approval.model_validate(fields)
