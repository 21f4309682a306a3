"""Tasks that nobody asked for just now: a schedule was due."""

from chalicelib.tasks.models import CreateTaskRequest
from chalicelib.tasks.repository import Store
from chalicelib.tasks.use_cases import tasks as use_cases
from common.errors import AppError, Forbidden, Invalid, NotFound, QuotaExceeded
from common.events.delivery import Undeliverable
from common.events.schedules import ScheduledTaskV1
from common.events.tasks import ErrorOccurredV1
from common.principals import Principal, permissions_of
from common.quotas import Quotas
from pydantic import ValidationError

REFUSALS = (Forbidden, Invalid, NotFound, QuotaExceeded)


def create_task(store: Store, event: ScheduledTaskV1) -> None:
    """As its owner would, by what they may do now. A refusal is told to them as an error."""
    if event.task_type != "agent_task":
        raise Undeliverable("UnknownTaskType", f"nobody here knows how to do {event.task_type!r}")
    owner = Principal(
        user_id=event.user_id,
        credential_id=f"schedule:{event.schedule_id}",
        permissions=permissions_of(event.scope),
        quotas=Quotas.of(event.quotas),
    )
    try:
        owner.require("tasks:write")
        agent_id, request = _wanted(event)
        use_cases.create_task(store, owner, agent_id, request, once=None, cause=event)
    except REFUSALS as refused:
        store.tasks.announce(_error(event, refused), cause=event)


def _wanted(event: ScheduledTaskV1) -> tuple[str, CreateTaskRequest]:
    try:
        description = event.parameters.get("description")
        request = CreateTaskRequest.model_validate({"description": description})
    except ValidationError as error:
        raise Invalid.from_validation(error) from error
    return str(event.parameters.get("agentId")), request


def _error(event: ScheduledTaskV1, refused: AppError) -> ErrorOccurredV1:
    context = {
        "scheduleId": event.schedule_id,
        "firingId": event.event_id,
        "dueAt": event.due_at,
        "agentId": str(event.parameters.get("agentId")),
    }
    return ErrorOccurredV1(
        component="tasks.schedules",
        error_type=refused.code,
        error_message=refused.message,
        context=context,
        user_id=event.user_id,
        aggregate_id=event.event_id,
        aggregate_version=1,
    )
