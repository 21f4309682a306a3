"""What the tasks service makes of a schedule that was due."""

from typing import Any

import pytest
from common.events.schedules import ScheduledTaskV1
from common.quotas import DEFAULT_QUOTAS

from tests import agents
from tests.service import Service, user

ADA = user("ada")


def due(owner: str = "ada", **fields: Any) -> ScheduledTaskV1:
    given: dict[str, Any] = {
        "schedule_id": "s1",
        "task_type": "agent_task",
        "parameters": {"agentId": "a1", "description": "Tell the news"},
        "due_at": "2030-01-01T00:00:00.000Z",
        "scope": "tasks:read tasks:write",
        "quotas": DEFAULT_QUOTAS.wire(),
        "user_id": owner,
        "aggregate_id": "s1",
        "aggregate_version": 2,
    }
    return ScheduledTaskV1(**given | fields)


def announced(tasks: Service, name: str) -> list[dict[str, Any]]:
    return [each["detail"] for each in tasks.outbox() if each["detail-type"] == name]


def listed(tasks: Service) -> list[dict[str, Any]]:
    return list(tasks.request("GET", "/agents/a1/tasks", by=ADA).body["items"])


def test_one_task_is_created_however_often_it_is_told(tasks: Service) -> None:
    tasks.consume(agents.created("a1"))
    event = due(correlation_id="c1")
    for _ in range(2):
        assert tasks.consume(event, event) == []
    (task,) = listed(tasks)
    assert (task["id"], task["description"]) == (event.event_id, "Tell the news")
    (created,) = announced(tasks, "TaskCreated")
    assert (created["userId"], created["causationId"]) == ("ada", event.event_id)
    assert (created["correlationId"], created["depth"]) == ("c1", 1)


@pytest.mark.parametrize(
    ("code", "fields"),
    [
        ("Forbidden", {"scope": "tasks:read"}),
        ("Forbidden", {"scope": ""}),
        ("Forbidden", {"owner": "bob"}),
        ("QuotaExceeded", {"quotas": {"activeTasks": 0}}),
        ("QuotaExceeded", {"quotas": {"tokensPerDay": 0}}),
        ("AgentNotFound", {"parameters": {"agentId": "gone", "description": "d"}}),
        ("Invalid", {"parameters": {"agentId": "a1", "description": ""}}),
        ("Invalid", {"parameters": {"agentId": "a1"}}),
    ],
)
def test_a_refusal_is_told_to_the_owner_once(
    tasks: Service, code: str, fields: dict[str, Any]
) -> None:
    tasks.consume(agents.created("a1"))
    event = due(**fields)
    for _ in range(2):
        assert tasks.consume(event) == []
    assert listed(tasks) == []
    (error,) = announced(tasks, "ErrorOccurred")
    assert (error["errorType"], error["userId"]) == (code, event.user_id)
    assert error["context"]["scheduleId"] == "s1"
    assert error["context"]["firingId"] == event.event_id


def test_a_kind_of_task_that_nobody_knows_is_undeliverable(tasks: Service) -> None:
    assert tasks.consume(due(task_type="backup")) == []
    (letter,) = tasks.buried()
    assert letter["messageAttributes"]["reason"]["stringValue"] == "UnknownTaskType"
