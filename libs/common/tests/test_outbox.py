import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from common.clock import timestamp
from common.dynamo import Table
from common.events.base import Event
from common.events.tasks import TaskStartedV1
from common.http import ServiceApp
from common.outbox import MAX_BATCH_BYTES, MAX_ENTRIES, Relay, relay
from common.rows import Row
from hypothesis import given
from hypothesis import strategies as st

from tests.service import Service

Entry = dict[str, str]
UNAVAILABLE = ClientError({"Error": {"Code": "InternalException", "Message": "no"}}, "PutEvents")


class Bus:
    """Answers as EventBridge does, entry by entry."""

    def __init__(self, refuses: Callable[[Entry], bool] = lambda entry: False) -> None:
        self.requests: list[list[Entry]] = []
        self._refuses = refuses

    def put_events(self, Entries: list[Entry]) -> dict[str, Any]:
        self.requests.append(Entries)
        return {"Entries": [self._answer(entry) for entry in Entries]}

    @property
    def accepted(self) -> list[Entry]:
        return [each for sent in self.requests for each in sent if not self._refuses(each)]

    def _answer(self, entry: Entry) -> dict[str, str]:
        if self._refuses(entry):
            return {"ErrorCode": "MalformedDetail", "ErrorMessage": "no"}
        return {"EventId": "1"}


class BrokenBus:
    def __init__(self, error: Exception) -> None:
        self._error = error

    def put_events(self, **_request: object) -> None:
        raise self._error


class Queue:
    def __init__(self) -> None:
        self.messages: list[str] = []

    def send_message(self, QueueUrl: str, MessageBody: str) -> None:
        self.messages.append(MessageBody)


def fact(task_id: str = "t", **fields: Any) -> Event:
    about = {"user_id": "ada", "aggregate_id": task_id, "aggregate_version": 1}
    return TaskStartedV1(task_id=task_id, agent_id="a", **(about | fields))


def waiting(table: Table, event: Event, for_seconds: float = 0) -> Row:
    """The event in the outbox, committed that long ago."""
    table.write(events=[event])
    row = table.get(f"OUTBOX#{event.event_id}", "EVENT")
    assert row
    row["GSI1SK"] = timestamp(datetime.now(UTC) - timedelta(seconds=for_seconds))
    table.put(row)
    return row


def relay_to(table: Table, bus: Any, queue: Any = None) -> Relay:
    return Relay(table, bus, "bus", queue or Queue(), "url")


def left(stored: Service) -> set[str]:
    return {event["detail"]["taskId"] for event in stored.outbox()}


def test_a_committed_event_reaches_the_bus_and_leaves_the_outbox(
    stored: Service, table: Table
) -> None:
    event, bus = fact(correlation_id="c"), Bus()
    assert relay_to(table, bus).publish([waiting(table, event)]) == 1
    assert stored.outbox() == []
    (sent,) = bus.accepted
    detail = json.loads(sent.pop("Detail"))
    assert sent == {
        "EventBusName": "bus",
        "Source": "realtime-agentic-api.tasks",
        "DetailType": "TaskStarted",
    }
    assert detail == event.wire()


def test_eventbridge_takes_an_event_and_refuses_a_broken_one(stored: Service, table: Table) -> None:
    bus = boto3.client("events")
    bus.create_event_bus(Name="bus")
    rows = [waiting(table, fact("good")), waiting(table, fact("broken")) | {"detail": "no JSON"}]
    assert relay_to(table, bus).publish(rows) == 1
    assert left(stored) == {"broken"}


def test_an_event_that_was_given_up_is_found_in_the_dead_letters(
    stored: Service, table: Table
) -> None:
    sqs = boto3.client("sqs")
    url = sqs.create_queue(QueueName="dead-letters")["QueueUrl"]
    waiting(table, fact("given up"), for_seconds=25 * 3600)
    Relay(table, BrokenBus(UNAVAILABLE), "bus", sqs, url).sweep()  # type: ignore[arg-type]
    (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
    assert json.loads(message["Body"])["taskId"] == "given up"
    assert stored.outbox() == []


@pytest.mark.parametrize(
    "error",
    [
        UNAVAILABLE,
        EndpointConnectionError(endpoint_url="https://events.invalid"),
    ],
)
def test_what_the_bus_refuses_stays_until_the_bus_is_back(
    stored: Service, table: Table, error: Exception
) -> None:
    row = waiting(table, fact(), for_seconds=60)
    assert relay_to(table, BrokenBus(error)).publish([row]) == 0
    assert left(stored) == {"t"}
    back = Bus()
    assert relay_to(table, back).sweep() == 1
    assert left(stored) == set()
    assert [json.loads(entry["Detail"])["taskId"] for entry in back.accepted] == ["t"]


def test_one_bad_entry_does_not_hold_up_the_others(stored: Service, table: Table) -> None:
    bus = Bus(refuses=lambda entry: '"taskId":"bad"' in entry["Detail"])
    rows = [waiting(table, fact(task_id)) for task_id in ("good", "bad", "fine")]
    assert relay_to(table, bus).publish(rows) == 2
    assert left(stored) == {"bad"}
    assert [json.loads(entry["Detail"])["taskId"] for entry in bus.accepted] == ["good", "fine"]


def test_the_sweep_takes_only_what_is_overdue(stored: Service, table: Table) -> None:
    for seconds in (0, 20, 35, 3600):
        waiting(table, fact(f"after {seconds}"), for_seconds=seconds)
    assert relay_to(table, Bus()).sweep() == 2
    assert left(stored) == {"after 0", "after 20"}


def test_an_event_that_nobody_takes_is_buried_after_a_day(stored: Service, table: Table) -> None:
    refused = Bus(refuses=lambda entry: True)
    day = 24 * 3600
    waiting(table, fact("a day"), for_seconds=day + 60)
    waiting(table, fact("not yet"), for_seconds=day - 60)
    graves = Queue()
    assert relay_to(table, refused, graves).sweep() == 0
    assert left(stored) == {"not yet"}
    assert [json.loads(message)["taskId"] for message in graves.messages] == ["a day"]


def test_a_hundred_refused_events_do_not_hold_up_those_behind_them(
    stored: Service, table: Table
) -> None:
    bus = Bus(refuses=lambda entry: '"taskId":"bad"' in entry["Detail"])
    template = waiting(table, fact("bad", event_id="bad-00"), for_seconds=3600)
    for number in range(1, 100):
        table.put(template | {"PK": f"OUTBOX#bad-{number}0"})
    waiting(table, fact("good", event_id="good-0"), for_seconds=60)
    assert relay_to(table, bus).sweep() == 1
    assert left(stored) == {"bad"}


@given(sizes=st.lists(st.integers(0, 120_000) | st.integers(0, 2_000), max_size=25))
def test_no_request_is_larger_than_the_bus_allows(table: Table, sizes: list[int]) -> None:
    bus = Bus()
    rows = [
        {"PK": f"OUTBOX#{n}", "SK": "EVENT", "source": "s", "detailType": "t", "detail": "é" * size}
        for n, size in enumerate(sizes)
    ]
    assert relay_to(table, bus).publish(rows) == len(rows)
    assert [entry["Detail"] for entry in bus.accepted] == [row["detail"] for row in rows]
    for request in bus.requests:
        size = sum(len(entry["Detail"].encode()) for entry in request)
        assert 1 <= len(request) <= MAX_ENTRIES
        assert size <= MAX_BATCH_BYTES or len(request) == 1


def test_the_stream_feeds_the_relay_with_new_outbox_rows_only(
    stored: Service, table: Table
) -> None:
    waiting(table, fact("new"))
    table.put({"PK": "THING", "SK": "ROW", "count": 1, "flag": True})
    bus = Bus()
    app = ServiceApp("probe")
    relay_outbox = relay(app, lambda: relay_to(table, bus))
    client = boto3.client("dynamodb")
    images = client.scan(TableName=stored.table.name)["Items"]
    records: list[dict[str, Any]] = [
        {"eventName": "INSERT", "dynamodb": {"NewImage": image}} for image in images
    ]
    removed = {"eventName": "REMOVE", "dynamodb": {"Keys": {"PK": {"S": "OUTBOX#old"}}}}
    assert relay_outbox({"Records": [*records, removed]}, None) == {"published": 1}
    assert [json.loads(entry["Detail"])["taskId"] for entry in bus.accepted] == ["new"]
    assert left(stored) == set()


def test_the_timer_makes_the_relay_sweep(table: Table) -> None:
    waiting(table, fact(), for_seconds=60)
    relay_outbox = relay(ServiceApp("probe"), lambda: relay_to(table, Bus()))
    assert relay_outbox({"source": "aws.events"}, None) == {"swept": 1}
    assert relay_outbox({"source": "aws.events"}, None) == {"swept": 0}
