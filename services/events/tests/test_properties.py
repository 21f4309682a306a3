"""What is announced of errors, when all else failed."""

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from common import service as parts
from common.consumers import Consumers
from common.events.delivery import MAX_RECEIVES
from common.events.tasks import TaskStartedV1
from common.http import ServiceApp
from common.outbox import Relay
from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st

from tests.service import Service, bus_envelope, running
from tests.strategies import emptied

ids = st.from_regex(r"[a-z0-9-]{1,20}", fullmatch=True)


def started(task_id: str) -> TaskStartedV1:
    about: dict[str, Any] = {"user_id": "ada", "aggregate_id": task_id, "aggregate_version": 1}
    return TaskStartedV1(task_id=task_id, agent_id="a", **about)


class Bus:
    """Is down for so many calls, in one way or another, and takes everything then."""

    def __init__(self, down: list[Exception]) -> None:
        self._down = list(down)
        self.taken: list[dict[str, Any]] = []

    def put_events(self, Entries: list[dict[str, str]]) -> dict[str, Any]:
        if self._down:
            raise self._down.pop()
        self.taken += [json.loads(entry["Detail"]) for entry in Entries]
        return {"Entries": [{"EventId": "1"} for _ in Entries]}


@pytest.fixture(scope="module")
def collector() -> Iterator[Service]:
    with running("events") as service:
        yield service


OUTAGES = [
    EndpointConnectionError(endpoint_url="https://events.invalid"),
    ClientError({"Error": {"Code": "InternalException", "Message": "no"}}, "PutEvents"),
    ClientError({"Error": {"Code": "ThrottlingException", "Message": "no"}}, "PutEvents"),
]


@given(
    component=st.sampled_from(["agents", "tasks", "status", "graphql"]),
    error=st.sampled_from([ValueError, KeyError, ConnectionError, TimeoutError]),
    outages=st.lists(st.sampled_from(OUTAGES), max_size=4),
    collected=st.integers(1, 2),
    task_id=ids,
)
def test_property_74_error_event_after_retry_exhaustion(
    collector: Service,
    component: str,
    error: type[Exception],
    outages: list[Exception],
    collected: int,
    task_id: str,
) -> None:
    """Feature: realtime-agentic-api, Property 74: Error event after retry exhaustion"""
    consumers, tries = Consumers(), []

    @consumers.on(TaskStartedV1)
    def fail(event: TaskStartedV1) -> None:
        tries.append(event)
        raise error("this never works")

    consume = consumers.lambda_function(ServiceApp("probe"))
    with emptied(collector):
        event = started(task_id)
        for attempt in range(1, MAX_RECEIVES + 1):
            record = _record(json.dumps(bus_envelope(event)), attempt)
            failed = consume({"Records": [record]}, SimpleNamespace())["batchItemFailures"]
            assert bool(failed) == (attempt < MAX_RECEIVES)
        (letter,) = collector.buried()
        letter["eventSourceARN"] = f"a:agentic-local-{component}-dead-letters"
        for _ in range(collected):
            collector.call("collect_dead_letters", {"Records": [letter]})
        bus = Bus(outages)
        for _ in range(len(outages) + 1):
            _relay_all(collector, bus)
        assert collector.outbox() == []
    (told,) = bus.taken
    assert len(tries) == MAX_RECEIVES
    assert (told["component"], told["errorType"]) == (f"{component}.consumer", error.__name__)
    assert (told["userId"], told["context"]["taskId"]) == ("ada", task_id)
    note(f"{len(outages)} outages of the bus")


def _record(body: str, attempt: int) -> dict[str, Any]:
    received = {"ApproximateReceiveCount": str(attempt)}
    return {"messageId": "m", "body": body, "attributes": received, "eventSourceARN": "a:inbox"}


def _relay_all(collector: Service, bus: Bus) -> None:
    rows = [row for row in collector.rows() if str(row["PK"]).startswith("OUTBOX#")]
    relay: Any = Relay(parts.table(), bus, "bus", boto3.client("sqs"), "url")  # type: ignore[arg-type]
    relay.publish(rows)
