import json
import uuid
from itertools import permutations
from types import SimpleNamespace
from typing import Any

import pytest
from chalicelib.tasks.workflow import TaskExecutions
from common.events.base import Event
from common.events.catalogue import consumed_by
from common.events.tasks import TaskCreatedV1

from tests import agents
from tests.service import Answer, Service, user
from tests.strategies import emptied

ADA = user("ada")
Order = tuple[int, ...]
ORDERS: list[Order] = list(permutations(range(3)))


class Executions:
    """Records what is started; refuses while `broken`."""

    def __init__(self) -> None:
        self.started: list[tuple[str, int]] = []
        self.broken = False

    def start(self, task_id: str, attempt: int) -> None:
        if self.broken:
            raise ConnectionError("the state machine is out of reach")
        self.started.append((task_id, attempt))


@pytest.fixture
def executions(tasks: Service) -> Executions:
    recording = Executions()
    tasks.module.executions = lambda: recording  # type: ignore[attr-defined]
    return recording


def post(tasks: Service, agent_id: str) -> Answer:
    body = {"description": "Say hello"}
    return tasks.request("POST", f"/agents/{agent_id}/tasks", body, by=ADA)


def snapshot(tasks: Service, agent_id: str) -> dict[str, Any]:
    key = {"PK": f"AGENT#{agent_id}", "SK": "SNAPSHOT"}
    return tasks.table.get_item(Key=key, ConsistentRead=True)["Item"]


def life(agent_id: str) -> list[Event]:
    return [
        agents.created(agent_id),
        agents.updated(agent_id, version=2, model="second"),
        agents.updated(agent_id, version=5, model="fifth"),
    ]


def test_the_service_consumes_what_the_catalogue_says(tasks: Service) -> None:
    assert set(tasks.module.consumers.functions) == set(consumed_by("tasks"))


@pytest.mark.parametrize("order", ORDERS)
def test_the_newest_configuration_wins_in_any_order(tasks: Service, order: Order) -> None:
    told = life("agent")
    assert tasks.consume(*(told[index] for index in order)) == []
    row = snapshot(tasks, "agent")
    assert '"model": "fifth"' in row["configuration"]
    assert int(row["version"]) == 5
    assert post(tasks, "agent").status == 201


@pytest.mark.parametrize("order", ORDERS)
def test_a_deleted_agent_does_not_come_back_in_any_order(tasks: Service, order: Order) -> None:
    told = [*life("agent")[:2], agents.deleted("agent", version=3)]
    assert tasks.consume(*(told[index] for index in order)) == []
    answer = post(tasks, "agent")
    assert (answer.status, answer.body["error"]["code"]) == (404, "AgentNotFound")
    assert snapshot(tasks, "agent")["deleted"] is True


def test_a_redelivered_event_changes_nothing(tasks: Service) -> None:
    told = life("agent")
    tasks.consume(*told)
    before = tasks.rows()
    assert tasks.consume(*told, *told) == []
    assert sorted(map(str, tasks.rows())) == sorted(map(str, before))


def test_deleting_an_agent_cancels_what_it_still_had_to_do(tasks: Service) -> None:
    tasks.consume(agents.created("agent"), agents.created("other"))
    pending, running, ended = (post(tasks, "agent").body["id"] for _ in range(3))
    kept = post(tasks, "other").body["id"]
    tasks.call("initialize_task", {"taskId": running})
    tasks.request("POST", f"/agents/agent/tasks/{ended}/cancel", by=ADA)
    deletion = agents.deleted("agent", version=2)
    for _ in range(2):
        assert tasks.consume(deletion) == []
    for task_id in (pending, running, ended):
        answer = tasks.request("GET", f"/agents/agent/tasks/{task_id}", by=ADA)
        assert answer.body["status"] == "cancelled"
    cancelled = [
        event["detail"]["taskId"]
        for event in tasks.outbox()
        if event["detail-type"] == "TaskCancelled"
    ]
    assert sorted(cancelled) == sorted([pending, running, ended])
    assert tasks.request("GET", f"/agents/other/tasks/{kept}", by=ADA).body["status"] == "pending"


def task_created(task_id: str) -> TaskCreatedV1:
    return TaskCreatedV1(
        task_id=task_id,
        agent_id="agent",
        description="Say hello",
        user_id="ada",
        aggregate_id=task_id,
        aggregate_version=1,
    )


def test_a_created_task_is_executed(tasks: Service, executions: Executions) -> None:
    assert tasks.consume(task_created("a"), task_created("b")) == []
    assert executions.started == [("a", 1), ("b", 1)]


def test_a_task_that_could_not_be_started_is_delivered_again(
    tasks: Service, executions: Executions
) -> None:
    executions.broken = True
    assert tasks.consume(task_created("a")) == ["0"]
    executions.broken = False
    assert tasks.consume(task_created("a")) == []
    assert executions.started == [("a", 1)]


class AlreadyExists(Exception):
    pass


class StateMachines:
    """Step Functions as far as it matters here: a name is used once."""

    exceptions = SimpleNamespace(ExecutionAlreadyExists=AlreadyExists)

    def __init__(self) -> None:
        self.inputs: dict[str, str] = {}

    def start_execution(self, **request: str) -> None:
        if request["name"] in self.inputs:
            raise AlreadyExists
        self.inputs[request["name"]] = request["input"]


def test_an_attempt_is_started_once_however_often_it_is_announced() -> None:
    machines, task_id = StateMachines(), str(uuid.uuid4())
    executions = TaskExecutions(machines, "arn")  # type: ignore[arg-type]
    for attempt in (1, 1, 2):
        executions.start(task_id, attempt)
    assert machines.inputs == {
        f"{task_id}-{attempt}": json.dumps({"taskId": task_id, "attempt": attempt})
        for attempt in (1, 2)
    }
    assert all(len(name) <= 80 for name in machines.inputs)


def test_agents_are_kept_apart(tasks: Service) -> None:
    with emptied(tasks):
        tasks.consume(agents.created("one", model="first"), agents.created("two", model="second"))
        assert "first" in snapshot(tasks, "one")["configuration"]
        assert "second" in snapshot(tasks, "two")["configuration"]
