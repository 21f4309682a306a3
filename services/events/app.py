"""The events service: routes, and one consumer for every event of the catalogue."""

import logging
from collections.abc import Callable
from functools import cache, partial
from typing import Any

from chalice.app import Response
from chalicelib.events.models.dead_letters import LetterFilter, RedriveRequest
from chalicelib.events.models.journal import EventFilter
from chalicelib.events.models.schedules import DueSchedule, WantedSchedule
from chalicelib.events.queues import Queues
from chalicelib.events.repository.dead_letters import DeadLetterRepository
from chalicelib.events.repository.journal import JournalRepository
from chalicelib.events.repository.schedules import ScheduleRepository
from chalicelib.events.scheduler import EventBridgeScheduler
from chalicelib.events.use_cases import dead_letters as dead
from chalicelib.events.use_cases import firings
from chalicelib.events.use_cases import journal as use_cases
from chalicelib.events.use_cases import schedules as timed
from common import metrics
from common.consumers import Consumers
from common.events.agents import AgentCreatedV1, AgentDeletedV1
from common.events.asyncapi import document
from common.events.auth import UserChangedV1
from common.events.base import Event
from common.events.catalogue import consumed_by
from common.events.schedules import ScheduleChangedV1
from common.events.tasks import (
    ErrorOccurredV1,
    TaskCancelledV1,
    TaskCompletedV1,
    TaskFailedV1,
)
from common.http import ServiceApp
from common.outbox import relay
from common.paging import page
from common.principals import Principal
from common.requests import once, parse, query
from common.service import outbox_relay, table

log = logging.getLogger(__name__)
app = ServiceApp("events")
relay_outbox = relay(app, outbox_relay)
consumers = Consumers()
consume = consumers.lambda_function(app)


@cache
def journal() -> JournalRepository:
    return JournalRepository(table())


@cache
def letters() -> DeadLetterRepository:
    return DeadLetterRepository(table())


@cache
def queues() -> Queues:
    return Queues()


@cache
def schedules() -> ScheduleRepository:
    return ScheduleRepository(table())


@cache
def scheduler() -> EventBridgeScheduler:
    return EventBridgeScheduler()


@app.operation("GET", "/events", "events:read")
def list_events(user: Principal) -> Response:
    params = query(app.request, "agentId", "taskId", "type", "limit", "nextToken")
    wanted = EventFilter.of(params)
    return page(
        user,
        params,
        f"events {wanted.model_dump_json()}",
        partial(use_cases.list_events, journal(), user, wanted),
    )


@app.operation("GET", "/errors", "events:read")
def list_errors(user: Principal) -> Response:
    params = query(app.request, "limit", "nextToken")
    return page(user, params, "errors", partial(journal().list_errors, user.user_id))


@app.operation("GET", "/events/catalogue", "events:read")
def describe_events(user: Principal) -> Response:
    return Response(document())


@app.operation("POST", "/schedules", "tasks:write")
def create_schedule(user: Principal) -> Response:
    request = app.request
    wanted = parse(WantedSchedule, request)
    schedule = timed.create_schedule(schedules(), user, wanted, once(request))
    return Response(schedule.wire(), status_code=201)


@app.operation("GET", "/schedules", "tasks:read")
def list_schedules(user: Principal) -> Response:
    params = query(app.request, "limit", "nextToken")
    return page(user, params, "schedules", partial(timed.list_schedules, schedules(), user))


@app.operation("GET", "/schedules/{schedule_id}", "tasks:read")
def get_schedule(user: Principal, schedule_id: str) -> Response:
    return Response(timed.load_owned(schedules(), user, schedule_id).wire())


@app.operation("PUT", "/schedules/{schedule_id}", "tasks:write")
def update_schedule(user: Principal, schedule_id: str) -> Response:
    wanted = parse(WantedSchedule, app.request)
    return Response(timed.update_schedule(schedules(), user, schedule_id, wanted).wire())


@app.operation("DELETE", "/schedules/{schedule_id}", "tasks:write")
def delete_schedule(user: Principal, schedule_id: str) -> Response:
    timed.delete_schedule(schedules(), user, schedule_id)
    return Response("", status_code=204)


@app.lambda_function(name="fire_schedule")
def fire_schedule(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Fed by the queue into which EventBridge Scheduler puts what is due."""

    def fire(record: dict[str, Any]) -> None:
        due = DueSchedule.model_validate_json(record["body"])
        firings.fire(schedules(), scheduler(), due.schedule_id, due.due_at)

    return in_batch(event, fire)


@app.operation("GET", "/dead-letters", "operations:read")
def list_dead_letters(user: Principal) -> Response:
    params = query(app.request, "consumer", "status", "limit", "nextToken")
    wanted = LetterFilter.of(params)
    return page(
        user,
        params,
        f"letters {wanted.model_dump_json()}",
        partial(dead.list_letters, letters(), wanted),
    )


@app.operation("POST", "/dead-letters/redrive", "operations:write")
def redrive_dead_letters(user: Principal) -> Response:
    wanted = parse(RedriveRequest, app.request)
    return Response(dead.redrive(letters(), queues(), wanted).wire())


@app.lambda_function(name="collect_dead_letters")
def collect_dead_letters(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Fed by the dead-letter queues of all services, whose names end in `<service>-dead-letters`.
    What cannot be kept stays in its queue."""

    def collect(record: dict[str, Any]) -> None:
        queue = record["eventSourceARN"].rpartition(":")[2]
        consumer = queue.removesuffix("-dead-letters").rpartition("-")[2]
        dead.collect(letters(), record, consumer)

    return in_batch(event, collect)


def in_batch(event: dict[str, Any], act: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Each of the queue's records, whatever becomes of the others; answers those that failed."""
    failed = []
    for record in event["Records"]:
        try:
            act(record)
        except Exception:  # it comes again
            log.exception("failed", extra={"queue": record["eventSourceARN"]})
            failed.append(record["messageId"])
    return {"batchItemFailures": [{"itemIdentifier": each} for each in failed]}


def record_event(event: Event) -> None:
    """Every event is recorded, after what else it is for: that takes place once as well."""
    match event:
        case TaskCompletedV1() | TaskFailedV1() | TaskCancelledV1():
            firings.task_ended(schedules(), event)
        case ErrorOccurredV1():
            firings.task_refused(schedules(), event)
        case ScheduleChangedV1():
            timed.apply(schedules(), scheduler(), event.schedule_id)
        case AgentCreatedV1() | AgentDeletedV1():
            firings.keep_agent(schedules(), event)
        case UserChangedV1():
            firings.keep_authority(schedules(), event)
    use_cases.record_event(journal(), event)
    if isinstance(event, ErrorOccurredV1):
        metrics.count("ErrorsOccurred", component=event.component, type=event.error_type)


for listened_to in consumed_by("events"):
    consumers.on(listened_to)(record_event)
