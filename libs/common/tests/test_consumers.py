import json
from types import SimpleNamespace
from typing import Any

import pytest
from common.consumers import Consumers
from common.context import correlation_id
from common.dynamo import ANY, Put, Table
from common.events.base import Event
from common.events.tasks import TaskCancelledV1, TaskStartedV1
from common.http import ServiceApp

from tests.service import bus_envelope


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

    def consume(self, *bodies: str) -> list[str]:
        records = [{"messageId": str(n), "body": body} for n, body in enumerate(bodies)]
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


UNKNOWN = {
    "nothing": "",
    "no JSON": "no JSON",
    "a list": "[]",
    "null": "null",
    "an empty envelope": "{}",
    "a text for its detail": json.dumps({"detail": "text"}),
    "a newer version": body(started("t"), detail={"version": 2}),
    "no version": body(started("t"), detail={"version": None}),
    "no task": body(started("t"), detail={"taskId": None}),
    "a wrong type": body(started("t"), detail={"aggregateVersion": "many"}),
    "another name": body(started("t"), **{"detail-type": "TaskStartedV1"}),
    "another source": body(started("t"), source="realtime-agentic-api.agents"),
    "another event": body(
        TaskCancelledV1(
            task_id="t", agent_id="a", user_id="u", aggregate_id="t", aggregate_version=1
        )
    ),
}


@pytest.mark.parametrize("bad", UNKNOWN)
def test_what_no_function_is_registered_for_fails_alone(bad: str) -> None:
    consumer = Started()
    assert consumer.consume(UNKNOWN[bad], body(started("good"))) == ["0"]
    assert [event.task_id for event in consumer.seen] == ["good"]


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
