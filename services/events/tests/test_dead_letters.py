"""Dead letters: collected, announced, shown to operators, and sent back."""

import json
import os
from typing import Any

import pytest
from common.events.tasks import ErrorOccurredV1, TaskCompletedV1
from common.principals import OPERATORS_RESOURCES, RESOURCES, Permission

from tests.service import Service, bus_envelope, drained, user

ARN = "arn:aws:sqs:us-east-1:123456789012:"
USER = user("bob", tuple(Permission(r, ("*",)) for r in RESOURCES if r not in OPERATORS_RESOURCES))


@pytest.fixture
def events(service: Any) -> Service:
    started: Service = service("events")
    return started


def completed(task_id: str = "t1", owner: str = "ada") -> str:
    about: dict[str, Any] = {"user_id": owner, "aggregate_id": task_id, "aggregate_version": 3}
    event = TaskCompletedV1(task_id=task_id, agent_id="a1", result="done", **about)
    return json.dumps(bus_envelope(event))


def record(number: str, body: str, consumer: str = "agents", **told: str) -> dict[str, Any]:
    return {
        "messageId": number,
        "body": body,
        "eventSourceARN": f"{ARN}agentic-local-{consumer}-dead-letters",
        "messageAttributes": {name: {"stringValue": value} for name, value in told.items()},
    }


def buried(number: str, body: str, consumer: str = "agents", reason: str = "Boom") -> Any:
    told = {"reason": reason, "message": "no", "attempts": "5", "queue": "inbox"}
    return record(number, body, consumer, **told)


def collect(events: Service, *records: dict[str, Any]) -> None:
    answer = events.call("collect_dead_letters", {"Records": list(records)})
    assert answer == {"batchItemFailures": []}


def listed(events: Service, query: str = "") -> list[dict[str, Any]]:
    answer = events.request("GET", f"/dead-letters{query}")
    assert answer.status == 200, answer
    return list(answer.body["items"])


def redrive(events: Service, **wanted: Any) -> dict[str, Any]:
    answer = events.request("POST", "/dead-letters/redrive", wanted)
    assert answer.status == 200, answer
    return dict(answer.body)


def inbox() -> list[str]:
    return [message["body"] for message in drained(os.environ["INBOX_URL"])]


def test_a_dead_letter_shows_event_consumer_reason_and_attempts(events: Service) -> None:
    body = completed()
    collect(events, buried("m1", body))
    (letter,) = listed(events)
    assert letter.pop("diedAt")
    assert letter == {
        "id": "m1",
        "consumer": "agents",
        "queue": "inbox",
        "reason": "Boom",
        "message": "no",
        "attempts": 5,
        "event": "TaskCompleted",
        "eventId": json.loads(body)["detail"]["eventId"],
        "status": "dead",
        "redrivenAt": None,
        "body": body,
    }


def test_one_that_is_collected_twice_is_there_once(events: Service) -> None:
    for _ in range(2):
        collect(events, buried("m1", completed()))
    assert len(listed(events)) == 1
    assert len(events.outbox()) == 1


def test_an_exhausted_event_is_announced_to_its_owner_as_an_error(events: Service) -> None:
    collect(events, buried("m1", completed()))
    (error,) = events.outbox()
    assert error["source"] == "realtime-agentic-api.errors"
    detail = error["detail"]
    assert (detail["userId"], detail["component"], detail["errorType"]) == (
        "ada",
        "agents.consumer",
        "Boom",
    )
    assert detail["context"] == {
        "consumer": "agents",
        "deadLetterId": "m1",
        "agentId": "a1",
        "taskId": "t1",
    }


def test_what_nothing_vouches_for_is_an_error_of_the_platform(events: Service) -> None:
    """A forged event names whom it likes; it was not tried to the end, but refused at once."""
    told = {"reason": "ForgedSource", "message": "no", "attempts": "1", "queue": "inbox"}
    collect(events, record("m1", completed(), **told))
    (error,) = events.outbox()
    assert error["detail"]["userId"] == "platform"


def test_the_failure_of_an_error_is_not_announced_as_an_error(events: Service) -> None:
    about: dict[str, Any] = {"user_id": "ada", "aggregate_id": "t1", "aggregate_version": 1}
    error = ErrorOccurredV1(component="c", error_type="E", error_message="m", context={}, **about)
    collect(events, buried("m1", json.dumps(bus_envelope(error)), consumer="events"))
    assert events.outbox() == []
    assert len(listed(events)) == 1


@pytest.mark.parametrize("body", ["", "no JSON", "[]", "{}", '{"detail": 1}', "[" * 100_000])
def test_any_text_is_kept_as_it_came(events: Service, body: str) -> None:
    collect(events, record("m1", body))
    (letter,) = listed(events)
    assert letter["body"] == body
    assert (letter["reason"], letter["attempts"]) == ("ConsumerDied", 5)


def test_more_than_a_row_holds_is_cut_and_only_told(events: Service) -> None:
    collect(events, buried("m1", "é" * 300_000))
    (letter,) = listed(events)
    assert (len(letter["body"]), letter["queue"]) == (190_000, None)


def test_what_eventbridge_and_sqs_say_is_understood(events: Service) -> None:
    bus = record("m1", completed(), ERROR_CODE="NO_PERMISSIONS", TARGET_ARN=f"{ARN}inbox")
    queue = record("m2", completed()) | {"attributes": {"DeadLetterQueueSourceArn": f"{ARN}inbox"}}
    collect(events, bus, queue)
    found = {letter["id"]: (letter["reason"], letter["queue"]) for letter in listed(events)}
    assert found == {"m1": ("NO_PERMISSIONS", "inbox"), "m2": ("ConsumerDied", "inbox")}


def test_a_redriven_letter_is_sent_as_it_came_and_once(events: Service) -> None:
    body = completed()
    collect(events, buried("m1", body), buried("m2", completed("t2")))
    assert redrive(events, ids=["m1", "none"]) == {
        "redriven": ["m1"],
        "skipped": {"none": "it does not exist"},
        "more": False,
    }
    assert inbox() == [body]
    assert redrive(events, ids=["m1"])["skipped"] == {"m1": "it was redriven before"}
    assert inbox() == []
    assert [letter["id"] for letter in listed(events)] == ["m2"]
    (sent,) = listed(events, "?status=redriven")
    assert (sent["id"], sent["status"]) == ("m1", "redriven")
    assert sent["redrivenAt"]


def test_those_of_a_consumer_and_all_are_redriven(events: Service) -> None:
    letters = [buried(f"m{n}", completed(f"t{n}"), ("agents", "status")[n % 2]) for n in range(6)]
    collect(events, *letters)
    assert len(listed(events, "?consumer=status")) == 3
    assert sorted(redrive(events, consumer="status")["redriven"]) == ["m1", "m3", "m5"]
    assert sorted(redrive(events, all=True)["redriven"]) == ["m0", "m2", "m4"]
    assert len(inbox()) == 6
    assert redrive(events, all=True)["redriven"] == []


def test_what_came_from_no_queue_is_shown_and_stays(events: Service) -> None:
    collect(events, record("m1", '{"requestContext": {}}'))
    assert redrive(events, all=True)["skipped"] == {"m1": "there is no queue to send it to"}
    assert len(listed(events)) == 1


@pytest.mark.parametrize(
    "body",
    [{}, {"ids": []}, {"all": False}, {"ids": ["a"], "all": True}, {"ids": ["#"]}, {"id": "a"}],
)
def test_a_redrive_says_which(events: Service, body: object) -> None:
    assert events.request("POST", "/dead-letters/redrive", body).status == 400


def test_dead_letters_are_for_operators(events: Service) -> None:
    assert events.request("GET", "/dead-letters", by=USER).status == 403
    answer = events.request("POST", "/dead-letters/redrive", {"all": True}, by=USER)
    assert answer.status == 403
