from itertools import permutations, product
from typing import Any

import pytest
from common.clock import new_id
from common.events.base import Event
from common.events.catalogue import consumed_by

from tests.service import Service
from tests.strategies import ENDINGS, TaskStory, emptied, status_of

AGENT = {
    "name": "helper",
    "configuration": {"llmProvider": "openai", "model": "gpt-5", "tools": []},
}


def create(service: Service) -> str:
    return str(service.request("POST", "/agents", AGENT).body["id"])


def stored(service: Service, agent_id: str) -> dict[str, Any]:
    key = {"PK": f"AGENT#{agent_id}", "SK": "METADATA"}
    return service.table.get_item(Key=key, ConsistentRead=True)["Item"]


def state(service: Service, agent_id: str) -> tuple[str, int]:
    row = stored(service, agent_id)
    assert service.request("GET", f"/agents/{agent_id}").body["status"] == row["status"]
    return str(row["status"]), int(row["activeTasks"])


def changes(service: Service, agent_id: str) -> list[dict[str, Any]]:
    """The announced changes of the agent's status, in order."""
    details = [
        event["detail"]
        for event in service.outbox()
        if event["detail-type"] == "AgentStatusChanged"
        and event["detail"]["aggregateId"] == agent_id
    ]
    return sorted(details, key=lambda detail: detail["aggregateVersion"])


def test_the_service_consumes_what_the_catalogue_says(agents: Service) -> None:
    assert set(agents.module.consumers.functions) == set(consumed_by("agents"))


@pytest.mark.parametrize(
    ("ending", "status"), [("completed", "idle"), ("failed", "error"), ("cancelled", "idle")]
)
def test_an_agent_processes_while_its_task_runs(agents: Service, ending: str, status: str) -> None:
    agent_id = create(agents)
    begun, ended = TaskStory(new_id(), ending, 1).events(agent_id)
    agents.consume(begun)
    assert state(agents, agent_id) == ("processing", 1)
    agents.consume(ended)
    assert state(agents, agent_id) == (status, 0)
    moves = [(each["oldStatus"], each["newStatus"]) for each in changes(agents, agent_id)]
    assert moves == [("idle", "processing"), ("processing", status)]


def test_a_change_of_status_says_which_event_caused_it(agents: Service) -> None:
    agent_id = create(agents)
    (begun,) = TaskStory(new_id(), None, 1).events(agent_id)
    agents.consume(begun)
    (change,) = changes(agents, agent_id)
    assert change["causationId"] == begun.event_id
    assert change["correlationId"] == begun.event_id
    assert (change["agentId"], change["userId"]) == (agent_id, "ada")


def test_an_agent_with_two_tasks_is_busy_until_both_ended(agents: Service) -> None:
    agent_id = create(agents)
    first, second = TaskStory(new_id(), "failed", 1), TaskStory(new_id(), "completed", 2)
    agents.consume(first.events(agent_id)[0], second.events(agent_id)[0])
    assert state(agents, agent_id) == ("processing", 2)
    agents.consume(first.events(agent_id)[1])
    assert state(agents, agent_id) == ("processing", 1)
    agents.consume(second.events(agent_id)[1])
    assert state(agents, agent_id) == ("idle", 0)
    assert len(changes(agents, agent_id)) == 2


def test_an_agent_recovers_from_an_error_with_its_next_task(agents: Service) -> None:
    agent_id = create(agents)
    agents.consume(*TaskStory(new_id(), "failed", 1).events(agent_id))
    assert state(agents, agent_id) == ("error", 0)
    agents.consume(*TaskStory(new_id(), None, 2).events(agent_id))
    assert state(agents, agent_id) == ("processing", 1)


def test_a_redelivered_event_changes_the_agent_once(agents: Service) -> None:
    agent_id = create(agents)
    begun, ended = TaskStory(new_id(), "failed", 1).events(agent_id)
    for events in ((begun, begun), (begun,), (ended, ended), (begun, ended)):
        assert agents.consume(*events) == []
    assert state(agents, agent_id) == ("error", 0)
    assert len(changes(agents, agent_id)) == 2


def histories() -> list[list[TaskStory]]:
    """Two tasks with every pair of endings; the second one is the last to end."""
    return [
        [TaskStory(new_id(), first, 1), TaskStory(new_id(), second, 2)]
        for first, second in product((None, *ENDINGS), repeat=2)
    ]


@pytest.mark.parametrize(
    "stories", histories(), ids=lambda told: "-".join(str(story.ending) for story in told)
)
def test_every_order_of_two_tasks_events_ends_the_same(
    agents: Service, stories: list[TaskStory]
) -> None:
    def told(agent_id: str) -> list[Event]:
        return [event for story in stories for event in story.events(agent_id)]

    for order in permutations(range(len(told("")))):
        with emptied(agents):
            agent_id = create(agents)
            events = told(agent_id)
            assert agents.consume(*(events[index] for index in order)) == []
            assert state(agents, agent_id) == status_of(events), order


def test_an_update_between_the_events_keeps_the_status_and_the_count(agents: Service) -> None:
    agent_id = create(agents)
    begun, ended = TaskStory(new_id(), "failed", 1).events(agent_id)
    agents.consume(begun)
    agents.request("PUT", f"/agents/{agent_id}", {"name": "renamed"})
    assert state(agents, agent_id) == ("processing", 1)
    agents.consume(ended)
    assert state(agents, agent_id) == ("error", 0)
    assert agents.request("GET", f"/agents/{agent_id}").body["name"] == "renamed"


def test_a_change_of_status_is_no_revision_of_the_owners(agents: Service) -> None:
    agent_id = create(agents)
    agents.consume(*TaskStory(new_id(), None, 1).events(agent_id))
    answer = agents.request(
        "PUT", f"/agents/{agent_id}", {"name": "renamed"}, headers={"If-Match": '"1"'}
    )
    assert answer.status == 200
    assert answer.body["revision"] == 2


def test_events_of_a_deleted_agent_change_nothing(agents: Service) -> None:
    agent_id = create(agents)
    begun, ended = TaskStory(new_id(), "failed", 1).events(agent_id)
    agents.consume(begun)
    agents.request("DELETE", f"/agents/{agent_id}")
    before = agents.outbox()
    assert agents.consume(ended, *TaskStory(new_id(), "completed", 2).events(agent_id)) == []
    assert agents.outbox() == before
    assert agents.request("GET", f"/agents/{agent_id}").status == 404
    assert agents.consume(*TaskStory(new_id(), "completed", 1).events(new_id())) == []
