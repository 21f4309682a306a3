"""The events service: routes, and one consumer for every event of the catalogue."""

import logging
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

from chalicelib.events.models.dead_letters import DeadLetter, LettersQuery, Redriven, RedriveRequest
from chalicelib.events.models.journal import EventsQuery, JournalEntry
from chalicelib.events.models.schedules import DueSchedule, Schedule, WantedSchedule
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
from common.errors import NotFound
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
from common.idempotency import Once
from common.outbox import relay
from common.paging import Page, page
from common.principals import Principal
from common.queries import Paging
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
def list_events(user: Principal, query: EventsQuery) -> Page[JournalEntry]:
    """What happened, newest first: in all, to one agent itself, or in one task."""
    find = partial(use_cases.list_events, journal(), user, query)
    return page(user, query, f"events {query.narrowed}", find)


@app.operation("GET", "/errors", "events:read")
def list_errors(user: Principal, query: Paging) -> Page[JournalEntry]:
    return page(user, query, "errors", partial(journal().list_errors, user.user_id))


@app.operation("GET", "/events/catalogue", "events:read")
def describe_events(user: Principal) -> dict[str, Any]:
    """Every event there is, as an AsyncAPI 3 document."""
    return document()


@app.operation("POST", "/schedules", "tasks:write", status=201, raises=(NotFound,))
def create_schedule(user: Principal, body: WantedSchedule, once: Once | None) -> Schedule:
    return timed.create_schedule(schedules(), user, body, once)


@app.operation("GET", "/schedules", "tasks:read")
def list_schedules(user: Principal, query: Paging) -> Page[Schedule]:
    return page(user, query, "schedules", partial(timed.list_schedules, schedules(), user))


@app.operation("GET", "/schedules/{schedule_id}", "tasks:read")
def get_schedule(user: Principal, schedule_id: str) -> Schedule:
    return timed.load_owned(schedules(), user, schedule_id)


@app.operation("PUT", "/schedules/{schedule_id}", "tasks:write")
def update_schedule(user: Principal, schedule_id: str, body: WantedSchedule) -> Schedule:
    """As a whole: what is left out is as in a new one."""
    return timed.update_schedule(schedules(), user, schedule_id, body)


@app.operation("DELETE", "/schedules/{schedule_id}", "tasks:write")
def delete_schedule(user: Principal, schedule_id: str) -> None:
    timed.delete_schedule(schedules(), user, schedule_id)


@app.lambda_function(name="fire_schedule")
def fire_schedule(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Fed by the queue into which EventBridge Scheduler puts what is due."""

    def fire(record: dict[str, Any]) -> None:
        due = DueSchedule.model_validate_json(record["body"])
        firings.fire(schedules(), scheduler(), due.schedule_id, due.due_at)

    return in_batch(event, fire)


@app.operation("GET", "/dead-letters", "operations:read")
def list_dead_letters(user: Principal, query: LettersQuery) -> Page[DeadLetter]:
    find = partial(dead.list_letters, letters(), query)
    return page(user, query, f"letters {query.narrowed}", find)


@app.operation("POST", "/dead-letters/redrive", "operations:write")
def redrive_dead_letters(user: Principal, body: RedriveRequest) -> Redriven:
    return dead.redrive(letters(), queues(), body)


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


def follow(event: Event) -> None:
    """What some events are for besides the journal."""
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


@consumers.finish
def record_events(events: Sequence[Event]) -> None:
    """Every event is recorded, after what else it is for."""
    use_cases.record_events(journal(), events)
    for event in events:
        if isinstance(event, ErrorOccurredV1):
            metrics.count("ErrorsOccurred", component=event.component, type=event.error_type)


for listened_to in consumed_by("events"):
    consumers.on(listened_to)(follow)
