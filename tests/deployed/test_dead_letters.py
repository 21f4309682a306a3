"""What cannot be delivered, on the deployed platform: buried, collected, announced, sent again."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from common.events.catalogue import CATALOGUE
from common.events.tasks import TaskCompletedV1

from tests.platform import Api, Platform, eventually

pytestmark = pytest.mark.deployed


@pytest.fixture(scope="module")
def operator(platform: Platform) -> Iterator[Api]:
    with platform.api(platform.facts["operator"]) as api:
        yield api


def publish(platform: Platform, **changes: Any) -> str:
    """An event that its consumers get and cannot use; its id."""
    about = {"user_id": "nobody", "aggregate_id": str(uuid.uuid4()), "aggregate_version": 1}
    event = TaskCompletedV1(task_id=str(uuid.uuid4()), agent_id="a", result="r", **about)  # type: ignore[arg-type]
    entry = {
        "EventBusName": "agentic-local-bus",
        "Source": event.source,
        "DetailType": event.detail_type(),
        "Detail": json.dumps(event.wire() | changes),
    }
    assert platform.aws("events").put_events(Entries=[entry])["FailedEntryCount"] == 0
    return event.event_id


def letters(operator: Api, event_id: str, **params: str) -> list[dict[str, Any]]:
    answer = operator.get("/dead-letters", params={"limit": 100, **params}).raise_for_status()
    return [letter for letter in answer.json()["items"] if letter["eventId"] == event_id]


def test_an_event_that_nobody_can_read_is_shown_with_the_reason_and_can_be_sent_again(
    platform: Platform, operator: Api
) -> None:
    event_id = publish(platform, result={"not": "a text"})
    (consumers,) = [e.consumers for e in CATALOGUE if e.event is TaskCompletedV1]
    found = eventually(
        lambda: (f := letters(operator, event_id)) and len(f) >= len(consumers) and f
    )
    assert sorted(letter["consumer"] for letter in found) == sorted(consumers)
    assert {letter["reason"] for letter in found} == {"InvalidFields"}
    assert {letter["attempts"] for letter in found} == {1}

    (letter,) = [each for each in found if each["consumer"] == "agents"]
    body = {"ids": [letter["id"]]}
    for expected in ([letter["id"]], []):
        answer = operator.post("/dead-letters/redrive", json=body).raise_for_status()
        assert answer.json()["redriven"] == expected
    again = eventually(lambda: letters(operator, event_id, consumer="agents"))
    assert [each["id"] != letter["id"] for each in again] == [True]


def test_a_chain_of_events_without_end_is_cut(platform: Platform, operator: Api) -> None:
    event_id = publish(platform, depth=9)
    found = eventually(lambda: (f := letters(operator, event_id)) and len(f) >= 4 and f)
    assert {letter["reason"] for letter in found} == {"CausationTooDeep"}
