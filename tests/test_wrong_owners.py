"""An event that says that somebody else owns what it is about changes nothing, wherever that is
known, and becomes a dead letter with its reason."""

from collections.abc import Callable
from typing import Any

import pytest
from common.events.base import Event
from common.events.collaborations import AgentMessageSentV1
from common.events.tasks import TaskCreatedV1, TaskStartedV1

from tests import agents
from tests.service import Service

AGENT, OWNER, OTHER = "agent", "ada", "mallory"
OF_TASK: dict[str, Any] = {"task_id": "task", "agent_id": AGENT, "aggregate_id": "task"}


def task_created(owner: str) -> Event:
    return TaskCreatedV1(description="go", aggregate_version=1, user_id=owner, **OF_TASK)


def task_started(owner: str) -> Event:
    return TaskStartedV1(aggregate_version=2, user_id=owner, **OF_TASK)


def agent_updated(owner: str) -> Event:
    return agents.updated(AGENT, 2, owner)


def message(owner: str) -> Event:
    about = {"aggregate_id": "m", "aggregate_version": 1}
    return AgentMessageSentV1(
        message_id="m", agent_id="x", to_agent_id=AGENT, content="obey", user_id=owner, **about
    )


def agent_deleted(owner: str) -> Event:
    return agents.deleted(AGENT, 3, owner)


FORGED: dict[str, tuple[list[Event], Callable[[str], Event]]] = {
    "tasks: an agent": ([agents.created(AGENT)], agent_updated),
    "tasks: an agent's end": ([agents.created(AGENT)], agent_deleted),
    "tasks: a message": ([agents.created(AGENT)], message),
    "status: an agent's task": ([agents.created(AGENT)], task_started),
    "graphql: an agent": ([agents.created(AGENT)], agent_updated),
    "graphql: a task": ([agents.created(AGENT), task_created(OWNER)], task_started),
    "events: an agent's end": ([agents.created(AGENT)], agent_deleted),
}


def reasons(heard: Service) -> list[str]:
    return [letter["messageAttributes"]["reason"]["stringValue"] for letter in heard.buried()]


@pytest.mark.parametrize("case", FORGED)
def test_it_changes_nothing_and_is_buried(service: Callable[[str], Service], case: str) -> None:
    known, forged = FORGED[case]
    heard = service(case.partition(":")[0])
    assert heard.consume(*known) == []
    before = heard.rows()
    assert heard.consume(forged(OTHER)) == []
    assert reasons(heard) == ["WrongOwner"]
    assert heard.rows() == before
    assert heard.consume(forged(OWNER)) == []
    assert (reasons(heard), heard.rows() != before) == ([], True)


def test_an_agents_status_follows_its_owners_tasks_alone(
    service: Callable[[str], Service],
) -> None:
    heard = service("agents")
    body = {"name": "helper", "configuration": agents.CONFIGURATION}
    path = f"/agents/{heard.request('POST', '/agents', body).body['id']}"
    about = OF_TASK | {"agent_id": path.rpartition("/")[2], "aggregate_version": 1}
    forged = TaskCreatedV1(description="go", user_id=OTHER, **about)
    assert heard.consume(forged) == []
    assert reasons(heard) == ["WrongOwner"]
    assert heard.request("GET", path).body["status"] == "idle"
    assert heard.consume(TaskCreatedV1(description="go", user_id=OWNER, **about)) == []
    assert heard.request("GET", path).body["status"] == "processing"
