"""The properties of notifications and errors on the deployed platform."""

import uuid
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
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
def agent(api: Api) -> dict[str, Any]:
    agent = api.agent()
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
