"""The events service: routes, and one consumer for every event of the catalogue."""

import logging
from functools import cache
from typing import Any

from chalice.app import Response
from chalicelib.events.models.dead_letters import LetterFilter, RedriveRequest
from chalicelib.events.models.journal import EventFilter
from chalicelib.events.queues import Queues
from chalicelib.events.repository.dead_letters import DeadLetterRepository
from chalicelib.events.repository.journal import JournalRepository
from chalicelib.events.use_cases import dead_letters as dead
from chalicelib.events.use_cases import journal as use_cases
from common.consumers import Consumers
from common.events.base import Event
from common.events.catalogue import consumed_by
from common.http import ServiceApp
from common.outbox import relay
from common.principals import Principal
from common.requests import limit, parse, query
from common.service import cursors, outbox_relay, table

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


@app.operation("GET", "/events", "events:read")
def list_events(user: Principal) -> Response:
    params = query(app.request, "agentId", "taskId", "type", "limit", "nextToken")
    wanted = EventFilter.of(params)
    scope = f"{user.user_id} events {wanted.model_dump_json()}"
    start = cursors().open(params.get("nextToken"), scope)
    entries, position = use_cases.list_events(journal(), user, wanted, limit(params), start)
    token = cursors().seal(position, scope)
    return Response({"items": [entry.wire() for entry in entries], "nextToken": token})


@app.operation("GET", "/errors", "events:read")
def list_errors(user: Principal) -> Response:
    params = query(app.request, "limit", "nextToken")
    start = cursors().open(params.get("nextToken"), f"{user.user_id} errors")
    entries, position = journal().list_errors(user.user_id, limit(params), start)
    token = cursors().seal(position, f"{user.user_id} errors")
    return Response({"items": [entry.wire() for entry in entries], "nextToken": token})


@app.operation("GET", "/events/catalogue", "events:read")
def describe_events(user: Principal) -> Response:
    return Response(use_cases.describe_events())


@app.operation("GET", "/dead-letters", "operations:read")
def list_dead_letters(user: Principal) -> Response:
    params = query(app.request, "consumer", "status", "limit", "nextToken")
    wanted = LetterFilter.of(params)
    scope = f"{user.user_id} letters {wanted.model_dump_json()}"
    start = cursors().open(params.get("nextToken"), scope)
    found, position = dead.list_letters(letters(), wanted, limit(params), start)
    items = [letter.wire() for letter in found]
    return Response({"items": items, "nextToken": cursors().seal(position, scope)})


@app.operation("POST", "/dead-letters/redrive", "operations:write")
def redrive_dead_letters(user: Principal) -> Response:
    wanted = parse(RedriveRequest, app.request)
    return Response(dead.redrive(letters(), queues(), wanted).wire())


@app.lambda_function(name="collect_dead_letters")
def collect_dead_letters(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Fed by the dead-letter queues of all services, whose names end in `<service>-dead-letters`.
    What cannot be kept stays in its queue."""
    failed = []
    for record in event["Records"]:
        queue = record["eventSourceARN"].rpartition(":")[2]
        consumer = queue.removesuffix("-dead-letters").rpartition("-")[2]
        try:
            dead.collect(letters(), record, consumer)
        except Exception:  # one that cannot be kept must not keep the others
            log.exception("a dead letter stays in its queue", extra={"queue": queue})
            failed.append(record["messageId"])
    return {"batchItemFailures": [{"itemIdentifier": each} for each in failed]}


def record_event(event: Event) -> None:
    use_cases.record_event(journal(), event)


for listened_to in consumed_by("events"):
    consumers.on(listened_to)(record_event)
