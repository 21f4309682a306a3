from collections.abc import Mapping
from typing import Any

from common.events.base import Event
from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st

from tests import strategies
from tests.service import Service
from tests.strategies import TaskStory, deliveries, emptied, status_of, task_stories, updated


def create(service: Service, body: Mapping[str, Any]) -> dict[str, Any]:
    answer = service.request("POST", "/agents", body)
    assert answer.status == 201, answer
    return dict(answer.body)


def update(service: Service, agent_id: str, body: object) -> dict[str, Any]:
    answer = service.request("PUT", f"/agents/{agent_id}", body)
    assert answer.status == 200, answer
    return dict(answer.body)


def read(service: Service, agent_id: str) -> dict[str, Any]:
    answer = service.request("GET", f"/agents/{agent_id}")
    assert answer.status == 200, answer
    return dict(answer.body)


def described(agent: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": agent["name"], "configuration": agent["configuration"]}


def stored(service: Service, agent_id: str) -> dict[str, Any] | None:
    key = {"PK": f"AGENT#{agent_id}", "SK": "METADATA"}
    return service.table.get_item(Key=key, ConsistentRead=True).get("Item")


@given(wanted=strategies.agents)
def test_property_1_agent_creation_persistence(agents: Service, wanted: dict[str, Any]) -> None:
    """Feature: realtime-agentic-api, Property 1: Agent creation persistence"""
    with emptied(agents):
        created = create(agents, wanted)
        assert described(created) == wanted
        assert read(agents, created["id"]) == created
        assert agents.request("GET", "/agents").body["items"] == [created]


@given(wanted=strategies.agents)
def test_property_2_agent_lifecycle_events(agents: Service, wanted: dict[str, Any]) -> None:
    """Feature: realtime-agentic-api, Property 2: Agent lifecycle events"""
    with emptied(agents):
        agent_id = create(agents, wanted)["id"]
        (created,) = agents.outbox()
        assert agents.request("DELETE", f"/agents/{agent_id}").status == 204
        (deleted,) = [event for event in agents.outbox() if event != created]
    for event, name in ((created, "AgentCreated"), (deleted, "AgentDeleted")):
        assert event["source"] == "realtime-agentic-api.agents"
        assert event["detail-type"] == name
        assert event["detail"]["agentId"] == event["detail"]["aggregateId"] == agent_id
        assert event["detail"]["userId"] == "ada"
    assert described(created["detail"]) == wanted
    assert deleted["detail"]["aggregateVersion"] > created["detail"]["aggregateVersion"]


@given(
    wanted=strategies.agents,
    changes=st.lists(strategies.updates.filter(any), min_size=1, max_size=3),
)
def test_property_3_agent_update_persistence(
    agents: Service, wanted: dict[str, Any], changes: list[dict[str, Any]]
) -> None:
    """Feature: realtime-agentic-api, Property 3: Agent update persistence"""
    with emptied(agents):
        agent_id = create(agents, wanted)["id"]
        expected = wanted
        for change in changes:
            expected = updated(expected, change)
            answered = update(agents, agent_id, change)
            assert described(answered) == expected
            assert read(agents, agent_id) == answered
    note(f"something changed: {expected != wanted}")


@given(wanted=strategies.agents, others=st.integers(0, 2), busy=st.booleans())
def test_property_4_agent_deletion_completeness(
    agents: Service, wanted: dict[str, Any], others: int, busy: bool
) -> None:
    """Feature: realtime-agentic-api, Property 4: Agent deletion completeness"""
    with emptied(agents):
        kept = {create(agents, wanted)["id"] for _ in range(others)}
        agent_id = create(agents, wanted)["id"]
        if busy:
            agents.consume(*TaskStory("task", None, 1).events(agent_id))
        path = f"/agents/{agent_id}"
        assert agents.request("DELETE", path).status == 204
        answers = [agents.request(method, path, {}) for method in ("GET", "PUT", "DELETE")]
        assert [answer.status for answer in answers] == [404, 404, 404]
        listed = agents.request("GET", "/agents").body["items"]
        assert {agent["id"] for agent in listed} == kept
        assert "Item" not in agents.table.get_item(
            Key={"PK": f"AGENT#{agent_id}", "SK": "METADATA"}
        )


@given(wanted=st.lists(strategies.agents, min_size=1, max_size=2), copies=st.integers(1, 2))
def test_property_61_agent_creation_with_unique_id(
    agents: Service, wanted: list[dict[str, Any]], copies: int
) -> None:
    """Feature: realtime-agentic-api, Property 61: Agent creation with unique ID"""
    with emptied(agents):
        created = [create(agents, each) for each in wanted for _ in range(copies)]
        rows = {agent["id"]: stored(agents, agent["id"]) for agent in created}
    assert len(rows) == len(created) == len(wanted) * copies
    for agent in created:
        row = rows[agent["id"]]
        assert row
        assert (row["agentId"], row["userId"], row["status"]) == (agent["id"], "ada", "idle")
        assert row["name"] == agent["name"]


@given(data=st.data(), wanted=strategies.agents, stories=task_stories())
def test_property_62_state_update_persistence(
    agents: Service, data: st.DataObject, wanted: dict[str, Any], stories: list[TaskStory]
) -> None:
    """Feature: realtime-agentic-api, Property 62: State update persistence"""
    seen: list[Event] = []
    statuses = ["idle"]
    with emptied(agents):
        agent_id = create(agents, wanted)["id"]
        for event in data.draw(deliveries(stories, agent_id)):
            assert agents.consume(event) == []
            seen.append(event)
            row = stored(agents, agent_id)
            assert row
            assert (row["status"], int(row["activeTasks"])) == status_of(seen)
            statuses.append(str(row["status"]))
    assert "processing" in statuses
    note(f"ends {statuses[-1]}")


@given(
    data=st.data(),
    wanted=strategies.agents,
    changes=st.lists(strategies.updates, max_size=2),
    stories=task_stories(),
)
def test_property_65_latest_state_retrieval(
    agents: Service,
    data: st.DataObject,
    wanted: dict[str, Any],
    changes: list[dict[str, Any]],
    stories: list[TaskStory],
) -> None:
    """Feature: realtime-agentic-api, Property 65: Latest state retrieval"""
    seen: list[Event] = []
    expected = wanted
    with emptied(agents):
        agent_id = create(agents, wanted)["id"]
        told = data.draw(deliveries(stories, agent_id))
        turns = data.draw(st.permutations([True] * len(told) + [False] * len(changes)))
        for is_event in turns:
            if is_event:
                seen.append(told[len(seen)])
                agents.consume(seen[-1])
            else:
                change = changes.pop()
                expected = updated(expected, change)
                update(agents, agent_id, change)
            latest = read(agents, agent_id)
            assert described(latest) == expected
            assert latest["status"] == status_of(seen)[0]
    assert seen
