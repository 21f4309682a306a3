"""What the tasks service announces of what people are asked."""

from typing import Any, ClassVar, Literal

from common.events.base import Event


class ApprovalRequestedV1(Event):
    """A task waits until a person agrees to what its agent wants to do. Parameters above 20 KB are
    left out; the approval has all of them."""

    source: ClassVar[str] = "realtime-agentic-api.tasks"

    task_id: str
    agent_id: str
    approval_id: str
    step: str
    description: str
    tool: str | None = None
    parameters: dict[str, Any] | None = None
    expires_at: str


class ApprovalDecidedV1(Event):
    """A person decided, or nobody did in time: the task goes on."""

    source: ClassVar[str] = "realtime-agentic-api.tasks"

    task_id: str
    agent_id: str
    approval_id: str
    decision: Literal["approved", "rejected", "expired"]
    comment: str | None = None


class ApprovalVoidedV1(Event):
    """The task ended before anybody decided; there is nothing to decide any more."""

    source: ClassVar[str] = "realtime-agentic-api.tasks"

    task_id: str
    agent_id: str
    approval_id: str
