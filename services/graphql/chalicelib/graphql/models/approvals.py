"""Approvals as their tasks' events tell of them: asked for once, settled once, in any order."""

from enum import StrEnum
from typing import Any

from common.events.approvals import ApprovalDecidedV1, ApprovalRequestedV1, ApprovalVoidedV1
from common.models import Model


class ApprovalStatus(StrEnum):
    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    VOID = "void"

    @property
    def is_somebodys(self) -> bool:
        return self in (ApprovalStatus.APPROVED, ApprovalStatus.REJECTED)


class Approval(Model):
    id: str
    agent_id: str
    task_id: str
    user_id: str
    step: str = ""
    description: str = ""
    tool: str | None = None
    parameters: dict[str, Any] | None = None
    status: ApprovalStatus = ApprovalStatus.PENDING
    comment: str | None = None
    created_at: str | None = None
    expires_at: str = ""
    decided_at: str | None = None

    @property
    def version(self) -> int:
        return bool(self.created_at) + bool(self.decided_at)

    @property
    def visible(self) -> bool:
        return self.created_at is not None

    @property
    def parameters_omitted(self) -> bool:
        """Large ones are not in the event."""
        return self.tool is not None and self.parameters is None

    @property
    def decided_by(self) -> str | None:
        """Nobody but its owner may decide."""
        return self.user_id if self.status.is_somebodys else None

    def requested(self, event: ApprovalRequestedV1) -> "Approval":
        if self.created_at:
            return self
        return self.model_copy(
            update={
                "step": event.step,
                "description": event.description,
                "tool": event.tool,
                "parameters": event.parameters,
                "created_at": event.timestamp,
                "expires_at": event.expires_at,
            }
        )

    def decided(self, event: ApprovalDecidedV1) -> "Approval":
        return self._settled(ApprovalStatus(event.decision), event.timestamp, event.comment)

    def voided(self, event: ApprovalVoidedV1) -> "Approval":
        return self._settled(ApprovalStatus.VOID, event.timestamp)

    def _settled(self, status: ApprovalStatus, at: str, comment: str | None = None) -> "Approval":
        if self.decided_at:
            return self
        return self.model_copy(update={"status": status, "comment": comment, "decided_at": at})
