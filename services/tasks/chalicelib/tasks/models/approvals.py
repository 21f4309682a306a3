"""Approvals: what an agent may do only after a person agreed to exactly that."""

import hashlib
import json
from enum import StrEnum
from typing import Any, Literal

from common.errors import Conflict, NotFound
from common.models import Model
from pydantic import Field

DEFAULT_EXPIRY_SECONDS = 24 * 3600


class ApprovalStatus(StrEnum):
    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    VOID = "void"


class Wish(Model):
    """What an agent wants to do: a tool call with its parameters, or a whole step of the plan."""

    task_id: str
    attempt: int
    step: int
    plan_version: int
    place: str = Field(description="Where in the step; the key of a tool call")
    tool: str | None = None
    parameters: dict[str, Any] | None = None

    @property
    def approval_id(self) -> str:
        """Another wish, be it in one argument, is another approval."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()[:32]

    @property
    def canonical(self) -> str:
        return json.dumps(self.wire(), sort_keys=True, separators=(",", ":"))


class Approval(Model):
    """`version` counts its writes. `token` is what the waiting workflow is woken with."""

    id: str
    user_id: str
    agent_id: str
    task_id: str
    step: str
    plan_version: int
    description: str
    tool: str | None = None
    parameters: dict[str, Any] | None = None
    status: ApprovalStatus = ApprovalStatus.PENDING
    comment: str | None = None
    created_at: str
    expires_at: str
    decided_at: str | None = None
    decided_by: str | None = None
    version: int = Field(default=1, exclude=True)
    token: str | None = Field(default=None, exclude=True)


class DecideRequest(Model):
    decision: Literal["approve", "reject"]
    comment: str | None = Field(default=None, max_length=2000)


class ApprovalNotFound(NotFound):
    def __init__(self, approval_id: str) -> None:
        super().__init__(f"Approval {approval_id} does not exist", approvalId=approval_id)


class ApprovalDecided(Conflict):
    def __init__(self, approval: Approval) -> None:
        status = approval.status.value
        super().__init__(f"The approval is {status} already", status=status)
