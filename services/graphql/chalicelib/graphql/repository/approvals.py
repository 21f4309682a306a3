"""Approvals: `APPROVAL#<id>`, listed by their user while they are pending. Beside each of them
there is a row that lists it, whatever its status, by its user and by its agent."""

import json
from collections.abc import Sequence
from typing import NamedTuple

from chalicelib.graphql.models.approvals import Approval, ApprovalStatus
from chalicelib.graphql.repository.lists import Slice, newest
from common.cursors import Position
from common.dynamo import ANY, Action, Put, Table
from common.rows import Row

_KEYS = {"PK", "SK", "GSI1PK", "GSI1SK", "version"}


class Wanted(NamedTuple):
    """Which of a user's approvals; None is any."""

    user_id: str
    agent_id: str | None = None
    task_id: str | None = None
    status: ApprovalStatus | None = None

    def fits(self, row: Row) -> bool:
        """Asked of an approval's own row, or of the one beside it."""
        status = self.status and self.status.value
        return (
            self.agent_id in (None, row["agentId"])
            and self.task_id in (None, row["taskId"])
            and status in (None, row["status"])
        )


class ApprovalRepository:
    def __init__(self, table: Table) -> None:
        self._table = table

    def find(self, approval_id: str) -> Approval | None:
        row = self._table.get(f"APPROVAL#{approval_id}", "METADATA")
        return _approval(row) if row else None

    def find_many(self, approval_ids: Sequence[str]) -> dict[str, Approval]:
        rows = self._table.get_many([(f"APPROVAL#{id}", "METADATA") for id in approval_ids])
        return {row["id"]: _approval(row) for row in rows}

    def list_ids(self, wanted: Wanted, limit: int, start: Position | None) -> Slice[str]:
        """Newest first, out of the smallest partition that has them all."""
        user = f"USER#{wanted.user_id}"
        if wanted.status == ApprovalStatus.PENDING:
            found = newest(self._table, f"{user}#PENDING", limit, start, wanted=wanted.fits)
        elif wanted.agent_id:
            of_agent = f"AGENT#{wanted.agent_id}#APPROVALS"
            found = newest(self._table, of_agent, limit, start, wanted=wanted.fits)
        else:
            found = newest(
                self._table, user, limit, start, prefix="APPROVAL#", index=None, wanted=wanted.fits
            )
        return found.of(lambda row: str(row["id"]))

    def save(self, before: Approval, after: Approval, *more: Action) -> None:
        """Raises Conflict unless the approval is stored as `before`."""
        beside = [Put(_row_beside(after), version=ANY)] if after.visible else []
        self._table.write(Put(_row(after), version=before.version or None), *beside, *more)


def _row(approval: Approval) -> Row:
    is_pending = approval.visible and approval.status == ApprovalStatus.PENDING
    parameters = json.dumps(approval.parameters, ensure_ascii=False)
    return {
        "PK": f"APPROVAL#{approval.id}",
        "SK": "METADATA",
        "GSI1PK": f"USER#{approval.user_id}#PENDING" if is_pending else None,
        "GSI1SK": _age(approval) if is_pending else None,
        **approval.model_dump(by_alias=True, mode="json"),
        "parameters": parameters if approval.parameters is not None else None,
        "version": approval.version,
    }


def _row_beside(approval: Approval) -> Row:
    return {
        "PK": f"USER#{approval.user_id}",
        "SK": f"APPROVAL#{_age(approval)}",
        "GSI1PK": f"AGENT#{approval.agent_id}#APPROVALS",
        "GSI1SK": _age(approval),
        "id": approval.id,
        "agentId": approval.agent_id,
        "taskId": approval.task_id,
        "status": approval.status.value,
    }


def _age(approval: Approval) -> str:
    return f"{approval.created_at}#{approval.id}"


def _approval(row: Row) -> Approval:
    fields = {name: row[name] for name in row.keys() - _KEYS}
    if "parameters" in fields:
        fields["parameters"] = json.loads(fields["parameters"])
    return Approval.model_validate(fields)
