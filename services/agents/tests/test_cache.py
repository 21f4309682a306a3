"""Agents through the cache, with a real Redis: sooner, and never wrong."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from common.cache import AGENT
from common.quotas import Quotas
from common.service import shared_cache
from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st

from tests import strategies
from tests.service import Service, running, user
from tests.strategies import TaskStory, emptied, updated, without_table

ADA = user(quotas=Quotas(requests_per_minute=10**9))


@pytest.fixture(scope="module")
def cached_agents(redis_url: str) -> Iterator[Service]:
    patient = f"{redis_url}?socket_timeout=10&socket_connect_timeout=10"
    with running("agents", REDIS_URL=patient) as service:
        yield service


@pytest.fixture
def agents(cached_agents: Service) -> Iterator[Service]:
    with emptied(cached_agents):
        yield cached_agents


def create(service: Service, body: dict[str, Any]) -> dict[str, Any]:
    answer = service.request("POST", "/agents", body, by=ADA)
    assert answer.status == 201, answer
    return dict(answer.body)


def read(service: Service, agent_id: str) -> dict[str, Any]:
    answer = service.request("GET", f"/agents/{agent_id}", by=ADA)
    assert answer.status == 200, answer
    return dict(answer.body)


HELPER = {
    "name": "helper",
    "configuration": {"llmProvider": "openai", "model": "simulated", "tools": []},
}


def test_what_is_cached_belongs_to_its_owner_alone(agents: Service) -> None:
    agent_id = create(agents, HELPER)["id"]
    read(agents, agent_id)
    assert shared_cache().get(AGENT, agent_id)
    assert agents.request("GET", f"/agents/{agent_id}", by=user("eve")).status == 403


def test_who_wants_the_latest_is_not_shown_the_cache(agents: Service) -> None:
    agent_id = create(agents, HELPER)["id"]
    read(agents, agent_id)
    path = f"/agents/{agent_id}?consistent="
    assert agents.request("GET", f"{path}perhaps", by=ADA).status == 400
    assert agents.request("GET", f"{path}true", by=ADA).status == 200
    with without_table(agents):
        assert agents.request("GET", f"{path}false", by=ADA).status == 200
        with pytest.raises(ClientError):
            agents.module.agents().get(agent_id)
        assert agents.request("GET", f"{path}true", by=ADA).status == 500


def test_a_change_is_made_to_what_is_stored_not_to_what_is_cached(agents: Service) -> None:
    agent_id = create(agents, HELPER)["id"]
    read(agents, agent_id)
    with without_table(agents):
        pass
    assert agents.request("PUT", f"/agents/{agent_id}", {"name": "other"}, by=ADA).status == 404


@given(wanted=st.lists(strategies.agents, min_size=1, max_size=3), reads=st.integers(1, 3))
def test_property_67_cache_first_data_access(
    agents: Service, wanted: list[dict[str, Any]], reads: int
) -> None:
    """Feature: realtime-agentic-api, Property 67: Cache-first data access"""
    with emptied(agents):
        known = [read(agents, create(agents, each)["id"]) for each in wanted]
        with without_table(agents):  # whatever is answered now is from the cache
            for agent in known * reads:
                assert read(agents, agent["id"]) == agent


@given(wanted=strategies.agents, is_busy=st.booleans())
def test_property_68_cache_population_on_miss(
    agents: Service, wanted: dict[str, Any], is_busy: bool
) -> None:
    """Feature: realtime-agentic-api, Property 68: Cache population on miss"""
    with emptied(agents):
        created = create(agents, wanted)
        if is_busy:
            assert agents.consume(*TaskStory("task", None, 1).events(created["id"])) == []
        assert shared_cache().get(AGENT, created["id"]) is None, "a miss"
        row = agents.table.get_item(Key={"PK": f"AGENT#{created['id']}", "SK": "METADATA"})["Item"]
        shown = read(agents, created["id"])
        cached = shared_cache().get(AGENT, created["id"])
    assert (shown["name"], shown["status"]) == (row["name"], row["status"])
    assert shown["status"] == ("processing" if is_busy else "idle")
    assert cached == {name: value for name, value in row.items() if value is not None}


@given(
    wanted=strategies.agents,
    steps=st.lists(st.sampled_from(["read", "change", "hear"]), min_size=5, max_size=5),
    changes=st.lists(strategies.updates, min_size=5, max_size=5),
    is_deleted=st.booleans(),
)
def test_property_69_cache_invalidation_on_update(
    agents: Service,
    wanted: dict[str, Any],
    steps: list[str],
    changes: list[dict[str, Any]],
    is_deleted: bool,
) -> None:
    """Feature: realtime-agentic-api, Property 69: Cache invalidation on update"""
    with emptied(agents):
        agent_id = create(agents, wanted)["id"]
        read(agents, agent_id)
        expected, status = wanted, "idle"
        to_come = TaskStory("task", "completed", 1).events(agent_id)
        for step, change in zip(steps, changes, strict=True):
            if step == "change":
                assert agents.request("PUT", f"/agents/{agent_id}", change, by=ADA).status == 200
                expected = updated(expected, change)
            elif step == "hear" and to_come:
                assert agents.consume(to_come.pop(0)) == []
                status = "processing" if to_come else "idle"
            shown = read(agents, agent_id)
            assert {"name": shown["name"], "configuration": shown["configuration"]} == expected
            assert shown["status"] == status
        if is_deleted:
            assert agents.request("DELETE", f"/agents/{agent_id}", by=ADA).status == 204
            assert agents.request("GET", f"/agents/{agent_id}", by=ADA).status == 404
    note(f"writes: {sorted(set(steps) - {'read'})}")
