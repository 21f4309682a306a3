"""What clients of GraphQL ask the owning services to do, and how these refuse.

A request carries who asks, with all that they may, as the authorizer told it: its source is one
that no other service can publish under.
"""

from typing import Any, ClassVar, Self

from common.errors import AppError
from common.events.base import Event
from common.principals import Principal


class Request(Event):
    source: ClassVar[str] = "realtime-agentic-api.graphql"

    caller: dict[str, str]

    @property
    def principal(self) -> Principal:
        return Principal.from_authorizer(self.caller)


class AgentCreationRequestedV1(Request):
    """A user wants an agent; `input` is as for POST /agents."""

    input: dict[str, Any]


class AgentUpdateRequestedV1(Request):
    """A user wants an agent changed; `input` is as for PUT /agents/{id}."""

    agent_id: str
    input: dict[str, Any]


class AgentDeletionRequestedV1(Request):
    """A user wants an agent to be gone."""

    agent_id: str


class TaskCreationRequestedV1(Request):
    """A user gives an agent a task; `input` is as for POST /agents/{id}/tasks."""

    agent_id: str
    input: dict[str, Any]


class TaskCancellationRequestedV1(Request):
    """A user wants a task to be stopped."""

    agent_id: str
    task_id: str


class ApprovalDecisionRequestedV1(Request):
    """A user decided about an approval; `input` is as for POST /approvals/{id}."""

    approval_id: str
    input: dict[str, Any]


class RequestRejectedV1(Event):
    """Nothing of the request that this was caused by took place; code, message and details are what
    a client of REST would be told."""

    source: ClassVar[str] = "realtime-agentic-api.requests"

    code: str
    message: str
    details: dict[str, Any]

    @classmethod
    def of(cls, request: Request, refused: AppError) -> Self:
        return cls(
            code=refused.code,
            message=refused.message,
            details=refused.details,
            user_id=request.user_id,
            aggregate_id=request.event_id,
            aggregate_version=1,
        )
