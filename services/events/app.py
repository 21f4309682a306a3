"""The events service: routes, and one consumer for every event of the catalogue."""

from functools import cache

from chalice.app import Response
from chalicelib.events import use_cases
from chalicelib.events.models import EventFilter
from chalicelib.events.repository import JournalRepository
from common.consumers import Consumers
from common.events.base import Event
from common.events.catalogue import consumed_by
from common.http import ServiceApp
from common.principals import Principal
from common.requests import limit, query
from common.service import cursors, table

app = ServiceApp("events")
consumers = Consumers()
consume = consumers.lambda_function(app)


@cache
def journal() -> JournalRepository:
    return JournalRepository(table())


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


def record_event(event: Event) -> None:
    use_cases.record_event(journal(), event)


for listened_to in consumed_by("events"):
    consumers.on(listened_to)(record_event)
