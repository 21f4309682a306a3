import json
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from common import service
from common.consumers import Consumers
from common.context import correlation_id
from common.dynamo import ANY, Put, Table
from common.events.base import Event
from common.events.delivery import MAX_RECEIVES
from common.events.tasks import TaskCancelledV1, TaskStartedV1
from common.http import ServiceApp

from tests.service import Service, before_calls, bus_envelope, drained


def started(task_id: str, **fields: Any) -> TaskStartedV1:
    about = {"user_id": "ada", "aggregate_id": task_id, "aggregate_version": 1}
    return TaskStartedV1(task_id=task_id, agent_id="a", **(about | fields))


class Started:
    """A consumer that keeps what it was given, and fails for tasks called `bad`."""

    def __init__(self) -> None:
        self.seen: list[TaskStartedV1] = []
        self.correlations: list[str | None] = []
        self.consumers = Consumers()
        self.consumers.on(TaskStartedV1)(self)
        self._consume = self.consumers.lambda_function(ServiceApp("probe"))

    def __call__(self, event: TaskStartedV1) -> None:
        if event.task_id == "bad":
            raise RuntimeError("bad")
        self.correlations.append(correlation_id.get())
        self.seen.append(event)

    def consume(self, *bodies: str, attempt: int = 1) -> list[str]:
        received = {"ApproximateReceiveCount": str(attempt)}
        records = [
            {"messageId": str(n), "body": body, "attributes": received, "eventSourceARN": "a:inbox"}
            for n, body in enumerate(bodies)
        ]
        answer = self._consume({"Records": records}, SimpleNamespace())
        return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def body(event: Event, **changes: Any) -> str:
    envelope = bus_envelope(event)
    detail = envelope["detail"] | changes.pop("detail", {})
    return json.dumps(envelope | {"detail": detail} | changes)


def test_an_event_reaches_its_function_as_it_was_published() -> None:
    consumer, event = Started(), started("t", correlation_id="c")
    assert consumer.consume(body(event)) == []
    assert consumer.seen == [event]
    assert consumer.correlations == ["c"]


def test_one_bad_record_does_not_fail_the_others_of_its_batch() -> None:
    consumer = Started()
    failed = consumer.consume(body(started("1")), body(started("bad")), body(started("3")))
    assert failed == ["1"]
    assert [event.task_id for event in consumer.seen] == ["1", "3"]


def test_what_is_left_for_the_whole_batch_is_done_once_for_what_was_carried_out() -> None:
    consumer, finished = Started(), list[list[str]]()

    @consumer.consumers.finish
    def finish(events: Sequence[Event]) -> None:
        finished.append([event.aggregate_id for event in events])

    assert consumer.consume(body(started("1")), "no JSON", body(started("bad"))) == ["1", "2"]
    assert finished == [["1"]]


def test_who_cannot_be_finished_comes_again_alone(dead_letters_url: str) -> None:
    consumer, finished = Started(), list[str]()

    @consumer.consumers.finish
    def finish(events: Sequence[Event]) -> None:
        if any(event.aggregate_id == "never" for event in events):
            raise RuntimeError("not this one")
        finished.extend(event.aggregate_id for event in events)

    bodies = [body(started(each)) for each in ("1", "never", "2")]
    assert consumer.consume(*bodies) == ["1"]
    assert finished == ["1", "2"]
    assert drained(dead_letters_url) == []
    assert consumer.consume(*bodies, attempt=MAX_RECEIVES) == []
    assert [told(letter)["message"] for letter in drained(dead_letters_url)] == ["not this one"]


def test_what_cannot_be_read_for_all_is_read_by_each(stored: Service, table: Table) -> None:
    """Number 2 has no key that the table takes."""
    consumer, seen = Started(), list[object]()
    keys: dict[str, Any] = {"1": "1", "2": object(), "3": "3"}
    consumer.consumers.reads(lambda event: [("TASK", keys[event.aggregate_id])])

    @consumer.consumers.on(TaskStartedV1)
    def look(event: TaskStartedV1) -> None:
        seen.append(service.table().get("TASK", event.task_id))

    table.put({"PK": "TASK", "SK": "1", "state": "read"})
    assert consumer.consume(*(body(started(each)) for each in "123")) == []
    assert seen == [{"PK": "TASK", "SK": "1", "state": "read"}, None, None]


def test_what_a_batch_reads_is_read_at_once(stored: Service, table: Table) -> None:
    """And what cannot be told is read by nobody."""
    consumer = Started()
    consumer.consumers.reads(lambda event: [("TASK", event.aggregate_id)])
    seen: list[object] = []

    @consumer.consumers.on(TaskStartedV1)
    def look(event: TaskStartedV1) -> None:
        table.put({"PK": "TASK", "SK": event.task_id, "state": "changed"})
        seen.append(service.table().get("TASK", event.task_id))

    table.put_batch([{"PK": "TASK", "SK": each, "state": "read"} for each in "12"])
    assert consumer.consume(*(body(started(each)) for each in "123"), "no JSON") == []
    read = [{"PK": "TASK", "SK": each, "state": "read"} for each in "12"]
    assert seen == [*read, None]


class Kept:
    """A consumer whose functions keep each task's row together; tells what it did afterwards."""

    def __init__(self, table: Table) -> None:
        self.consumer, self.afterwards = Started(), list[tuple[str, str | None]]()
        self.consumer.consumers.together(TaskStartedV1, self._keep)
        self._table = table

    def _keep(self, event: TaskStartedV1) -> Callable[[], None]:
        if event.task_id == "bad":
            raise RuntimeError("bad")
        self._table.write(Put({"PK": "TASK", "SK": event.task_id}, version=ANY), cause=event)

        def then() -> None:
            assert self._table.get("TASK", event.task_id), "it is there"
            if event.task_id == "lost":
                raise RuntimeError("lost")
            self.afterwards.append((event.task_id, correlation_id.get()))

        return then

    def consume(self, *events: Event) -> tuple[list[str], list[str]]:
        """Those that failed, and the calls of the table."""
        made: list[str] = []
        with before_calls(made.append):
            failed = self.consumer.consume(*map(body, events))
        return failed, [each for each in made if each != "GetItem"]


@pytest.fixture
def kept(stored: Service) -> Kept:
    return Kept(service.table())


def test_a_batch_commits_together_and_each_does_what_is_left(kept: Kept) -> None:
    events = [started(each, correlation_id=f"of {each}") for each in "123"]
    assert kept.consume(*events) == ([], ["TransactWriteItems"])
    assert kept.afterwards == [("1", "of 1"), ("2", "of 2"), ("3", "of 3")]


def test_one_that_fails_takes_nobody_with_it(kept: Kept) -> None:
    failed, calls = kept.consume(started("1"), started("bad"), started("3"))
    assert (failed, len(calls)) == (["1"], 2)
    assert [task for task, _ in kept.afterwards] == ["1", "3"]


def test_one_that_comes_again_takes_nobody_with_it(kept: Kept) -> None:
    known = started("1")
    assert kept.consume(known) == ([], ["TransactWriteItems"])
    failed, calls = kept.consume(started("2"), known, started("3"))
    assert (failed, len(calls)) == ([], 4)
    assert [task for task, _ in kept.afterwards] == ["1", "2", "3"]


def test_the_same_event_twice_in_a_batch_is_done_once(kept: Kept) -> None:
    event = started("1")
    assert kept.consume(event, event)[0] == []
    assert [task for task, _ in kept.afterwards] == ["1"]


def test_what_was_left_and_failed_comes_again_alone(kept: Kept) -> None:
    assert kept.consume(started("1"), started("lost"), started("3"))[0] == ["1"]
    assert [task for task, _ in kept.afterwards] == ["1", "3"]


def told(message: dict[str, Any]) -> dict[str, str]:
    return {name: each["stringValue"] for name, each in message["messageAttributes"].items()}


UNDELIVERABLE = {
    "nothing": ("", "NotJson"),
    "no JSON": ("no JSON", "NotJson"),
    "endless nesting": ("[" * 100_000, "NotJson"),
    "a list": ("[]", "NoEnvelope"),
    "null": ("null", "NoEnvelope"),
    "an empty envelope": ("{}", "NoEnvelope"),
    "a text for its detail": (json.dumps({"detail": "text"}), "NoEnvelope"),
    "a newer version": (body(started("t"), detail={"version": 2}), "UnknownVersion"),
    "no version": (body(started("t"), detail={"version": None}), "UnknownVersion"),
    "no task": (body(started("t"), detail={"taskId": None}), "InvalidFields"),
    "a wrong type": (body(started("t"), detail={"aggregateVersion": "many"}), "InvalidFields"),
    "another name": (body(started("t"), **{"detail-type": "TaskStartedV1"}), "UnknownEvent"),
    "a list for its name": (body(started("t"), **{"detail-type": ["x"]}), "UnknownEvent"),
    "another source": (
        body(started("t"), source="realtime-agentic-api.agents"),
        "ForgedSource",
    ),
    "another event": (
        body(
            TaskCancelledV1(
                task_id="t", agent_id="a", user_id="u", aggregate_id="t", aggregate_version=1
            )
        ),
        "UnknownEvent",
    ),
    "more than the bus takes": (body(started("t" * 300_000)), "TooLarge"),
    "what nine events led to": (body(started("t", depth=9)), "CausationTooDeep"),
}


@pytest.mark.parametrize("bad", UNDELIVERABLE)
def test_what_can_never_be_delivered_is_buried_at_once_with_its_reason(
    dead_letters_url: str, bad: str
) -> None:
    consumer, (text, reason) = Started(), UNDELIVERABLE[bad]
    assert consumer.consume(text, body(started("good"))) == []
    assert [event.task_id for event in consumer.seen] == ["good"]
    (letter,) = drained(dead_letters_url)
    assert letter["body"] == (text or "(nothing)")
    assert told(letter)["reason"] == reason
    assert told(letter) | {"attempts": "1", "queue": "inbox"} == told(letter)


def test_what_eight_events_led_to_is_still_delivered(dead_letters_url: str) -> None:
    consumer = Started()
    assert consumer.consume(body(started("t", depth=8))) == []
    assert len(consumer.seen) == 1
    assert drained(dead_letters_url) == []


def test_a_failure_is_buried_after_the_last_delivery(dead_letters_url: str) -> None:
    consumer = Started()
    for attempt in range(1, MAX_RECEIVES):
        assert consumer.consume(body(started("bad")), attempt=attempt) == ["0"]
    assert drained(dead_letters_url) == []
    assert consumer.consume(body(started("bad")), attempt=MAX_RECEIVES) == []
    (letter,) = drained(dead_letters_url)
    assert told(letter) == {
        "reason": "RuntimeError",
        "message": "bad",
        "attempts": str(MAX_RECEIVES),
        "queue": "inbox",
    }


def test_without_dead_letters_the_queue_itself_gives_up(
    stored: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEAD_LETTERS_URL", "https://sqs.us-east-1.amazonaws.com/123456789012/none")
    service.dead_letters.cache_clear()
    assert Started().consume("no JSON", body(started("good"))) == ["0"]
    service.dead_letters.cache_clear()


def test_a_chain_of_events_knows_how_long_it_is() -> None:
    event = started("t")
    for depth in range(3):
        assert event.depth == depth
        event = started("t").caused_by(event, None)


def test_a_field_of_a_newer_producer_is_ignored() -> None:
    consumer, event = Started(), started("t")
    assert consumer.consume(body(event, detail={"mood": "sunny"})) == []
    assert consumer.seen == [event]


def test_a_redelivered_event_is_done_not_failed(table: Table) -> None:
    consumers = Consumers()
    effects = []

    @consumers.on(TaskStartedV1)
    def on_task_started(event: TaskStartedV1) -> None:
        table.write(Put({"PK": "THING", "SK": "ROW"}, version=ANY), cause=event)
        effects.append(event.task_id)

    consume = consumers.lambda_function(ServiceApp("probe"))
    record = {"messageId": "0", "body": body(started("t"))}
    for _ in range(2):
        answer = consume({"Records": [record, record]}, SimpleNamespace())
        assert answer == {"batchItemFailures": []}
    assert effects == ["t"]
