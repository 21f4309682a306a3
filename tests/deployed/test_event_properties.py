"""The properties of schedules, notifications and errors on the deployed platform."""

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from common.clock import timestamp
from common.events.agents import AgentStatusChangedV1
from common.events.base import Event
from common.events.tasks import ErrorOccurredV1
from hypothesis import given
from hypothesis import strategies as st

from tests.platform import Api, Platform, eventually

pytestmark = pytest.mark.deployed

statuses = st.sampled_from(["idle", "processing", "waiting", "error"])
words = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FFF), min_size=1, max_size=40)
versions = count(1000)


@pytest.fixture(scope="module")
def api(platform: Platform) -> Iterator[Api]:
    with platform.api() as api:
        yield api


@pytest.fixture(scope="module")
def agent(platform: Platform, api: Api) -> dict[str, Any]:
    agent = api.agent()
    answer = {"type": "response", "description": "answer", "answer": "done"}
    platform.script("scheduled", {"plan": {"steps": [answer]}}, repeat_last=True)
    assert eventually(lambda: api.get(f"/agents/{agent['id']}/status").status_code == 200)
    assert eventually(lambda: api.post("/graphql", json=_asked(agent)).json()["data"]["agent"])
    return agent


def _asked(agent: dict[str, Any]) -> dict[str, str]:
    return {"query": f'{{ agent(id: "{agent["id"]}") {{ status }} }}'}


def publish(platform: Platform, event: Event) -> None:
    entry = {
        "EventBusName": "agentic-local-bus",
        "Source": event.source,
        "DetailType": event.detail_type(),
        "Detail": event.model_dump_json(by_alias=True),
    }
    assert platform.aws("events").put_events(Entries=[entry])["FailedEntryCount"] == 0


class Due:
    """Says what EventBridge Scheduler says, where it says it."""

    def __init__(self, platform: Platform) -> None:
        self._sqs = platform.aws("sqs")
        url = self._sqs.get_queue_url(QueueName="agentic-local-events-firings")
        self._url = url["QueueUrl"]

    def __call__(self, schedule_id: str, at: datetime) -> None:
        body = json.dumps({"scheduleId": schedule_id, "dueAt": at.strftime("%Y-%m-%dT%H:%M:%SZ")})
        self._sqs.send_message(QueueUrl=self._url, MessageBody=body)


@given(
    description=words.filter(str.strip),
    minutes_ago=st.lists(st.integers(0, 50), min_size=1, max_size=2, unique=True),
    deliveries=st.integers(1, 2),
    fate=st.sampled_from(["kept", "kept", "deleted", "disabled"]),
)
def test_property_41_scheduled_task_execution(
    platform: Platform,
    api: Api,
    agent: dict[str, Any],
    *,
    description: str,
    minutes_ago: list[int],
    deliveries: int,
    fate: str,
) -> None:
    """Feature: realtime-agentic-api, Property 41: Scheduled task execution"""
    wanted = {"agentId": agent["id"], "description": description, "rate": "7 days"}
    schedule = api.created("/schedules", wanted | {"onOverlap": "parallel"})
    path = f"/schedules/{schedule['id']}"
    if fate == "deleted":
        api.delete(path).raise_for_status()
    if fate == "disabled":
        api.put(path, json=wanted | {"enabled": False}).raise_for_status()
    due, now = Due(platform), datetime.now(UTC).replace(microsecond=0)
    for minutes in minutes_ago * deliveries:
        due(schedule["id"], now - timedelta(minutes=minutes))
    expected = len(minutes_ago) if fate == "kept" else 0
    times = {timestamp(now - timedelta(minutes=minutes)) for minutes in minutes_ago}

    def fired() -> list[dict[str, Any]]:
        items = api.get("/events?type=ScheduledTask&limit=20").json()["items"]
        return [e["detail"] for e in items if e["detail"]["scheduleId"] == schedule["id"]]

    assert eventually(lambda: len(fired()) >= expected)
    assert {each["dueAt"] for each in fired()} == (times if expected else set())
    for each in fired():
        task = {"id": each["eventId"], "agentId": agent["id"]}
        found = eventually(lambda task=task: _found(api, task))  # type: ignore[misc]
        assert found["description"] == description
    api.delete(path)


def _found(api: Api, task: dict[str, str]) -> dict[str, Any]:
    answer = api.get(f"/agents/{task['agentId']}/tasks/{task['id']}")
    return dict(answer.json()) if answer.is_success else {}


@given(old=statuses, new=statuses)
def test_property_42_state_change_notification_broadcast(
    platform: Platform, api: Api, agent: dict[str, Any], old: str, new: str
) -> None:
    """Feature: realtime-agentic-api, Property 42: State change notification broadcast"""
    event = AgentStatusChangedV1(
        agent_id=agent["id"],
        old_status=old,
        new_status=new,
        user_id=agent["userId"],
        aggregate_id=agent["id"],
        aggregate_version=next(versions),
    )
    latest = api.get(f"/agents/{agent['id']}/status").json().get("seq", 0)
    publish(platform, event)

    def pushed() -> bool:
        items = api.get(f"/agents/{agent['id']}/updates?after={latest}").json()["items"]
        return any(item["eventId"] == event.event_id for item in items)

    def recorded() -> bool:
        items = api.get(f"/events?agentId={agent['id']}&limit=5").json()["items"]
        return any(item["eventId"] == event.event_id for item in items)

    def projected() -> bool:
        shown = api.post("/graphql", json=_asked(agent)).json()["data"]["agent"]
        return bool(shown["status"] == new.upper())

    for has_heard in (pushed, recorded, projected):
        assert eventually(has_heard, every=0.05), has_heard.__name__


@given(
    component=words,
    error_type=words,
    message=st.text(max_size=200),
    context=st.dictionaries(words, st.text(max_size=40), max_size=3),
)
def test_property_43_error_event_routing(
    platform: Platform,
    api: Api,
    agent: dict[str, Any],
    *,
    component: str,
    error_type: str,
    message: str,
    context: dict[str, str],
) -> None:
    """Feature: realtime-agentic-api, Property 43: Error event routing"""
    event = ErrorOccurredV1(
        component=component,
        error_type=error_type,
        error_message=message,
        context=context,
        user_id=agent["userId"],
        aggregate_id=str(uuid.uuid4()),
        aggregate_version=1,
    )
    publish(platform, event)

    def handled() -> list[dict[str, Any]]:
        items = api.get("/errors?limit=5").json()["items"]
        return [item["detail"] for item in items if item["eventId"] == event.event_id]

    (told,) = eventually(handled, every=0.05)
    assert told == event.wire()
