import time
import uuid
from threading import Timer
from typing import Any

import pytest
from common.principals import Permission, Principal

from tests import agents
from tests.service import Answer, Service, user

ADA, GRACE = user("ada"), user("grace")
READER = Permission("tasks", ("read",))
WRITER = Permission("tasks", ("write",))


@pytest.fixture
def agent_id(tasks: Service) -> str:
    """Of Ada's agent."""
    name = str(uuid.uuid4())
    assert tasks.consume(agents.created(name)) == []
    return name


def post(
    tasks: Service, agent_id: str, description: object = "Say hello", **options: Any
) -> Answer:
    body = {"description": description}
    return tasks.request("POST", f"/agents/{agent_id}/tasks", body, **{"by": ADA} | options)


def create(tasks: Service, agent_id: str, **options: Any) -> dict[str, Any]:
    answer = post(tasks, agent_id, **options)
    assert answer.status == 201, answer
    return dict(answer.body)


def path(task: dict[str, Any]) -> str:
    return f"/agents/{task['agentId']}/tasks/{task['id']}"


def get(tasks: Service, task: dict[str, Any], by: Principal = ADA) -> Answer:
    return tasks.request("GET", path(task), by=by)


def cancel(tasks: Service, task: dict[str, Any], by: Principal = ADA, **options: Any) -> Answer:
    return tasks.request("POST", f"{path(task)}/cancel", by=by, **options)


def code(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.body["error"]["code"]


def announced(tasks: Service) -> list[str]:
    return sorted(event["detail-type"] for event in tasks.outbox())


def test_a_created_task_is_pending(tasks: Service, agent_id: str) -> None:
    task = create(tasks, agent_id, description="Say hello 🤖")
    assert task | {"id": "", "createdAt": ""} == {
        "id": "",
        "agentId": agent_id,
        "userId": "ada",
        "description": "Say hello 🤖",
        "status": "pending",
        "currentStep": 0,
        "totalSteps": 0,
        "result": None,
        "error": None,
        "createdAt": "",
        "startedAt": None,
        "completedAt": None,
        "attempt": 1,
        "tokens": 0,
        "waitingFor": None,
        "plan": None,
    }
    assert get(tasks, task).body == task


def test_a_created_task_is_announced_once(tasks: Service, agent_id: str) -> None:
    headers = {"X-Correlation-Id": "my-request"}
    task = create(tasks, agent_id, headers=headers)
    (event,) = tasks.outbox()
    assert event["detail-type"] == "TaskCreated"
    detail = event["detail"]
    assert (detail["taskId"], detail["agentId"]) == (task["id"], agent_id)
    assert (detail["description"], detail["userId"]) == ("Say hello", "ada")
    assert detail["correlationId"] == "my-request"


def test_the_tasks_of_an_agent_are_listed_newest_first_page_by_page(
    tasks: Service, agent_id: str
) -> None:
    other = str(uuid.uuid4())
    tasks.consume(agents.created(other))
    create(tasks, other)
    made = {create(tasks, agent_id)["id"] for _ in range(5)}
    seen, token = [], ""
    while True:
        page = tasks.request("GET", f"/agents/{agent_id}/tasks?limit=2{token}", by=ADA).body
        seen += page["items"]
        if page["nextToken"] is None:
            break
        token = f"&nextToken={page['nextToken']}"
    assert len(seen) == 5
    assert {task["id"] for task in seen} == made
    times = [task["createdAt"] for task in seen]
    assert times == sorted(times, reverse=True)
    elsewhere = tasks.request("GET", f"/agents/{other}/tasks?limit=2{token}", by=ADA)
    assert code(elsewhere) == (400, "Invalid")


@pytest.mark.parametrize("query", ["?limit=0", "?limit=101", "?status=pending", "?nextToken=x"])
def test_a_wrong_query_is_refused(tasks: Service, agent_id: str, query: str) -> None:
    answer = tasks.request("GET", f"/agents/{agent_id}/tasks{query}", by=ADA)
    assert code(answer) == (400, "Invalid")


def test_a_task_is_found_under_its_own_agent_only(tasks: Service, agent_id: str) -> None:
    other = str(uuid.uuid4())
    tasks.consume(agents.created(other))
    misplaced = create(tasks, agent_id) | {"agentId": other}
    assert code(get(tasks, misplaced)) == (404, "TaskNotFound")
    assert code(cancel(tasks, misplaced)) == (404, "TaskNotFound")


def test_a_missing_task_is_not_found(tasks: Service, agent_id: str) -> None:
    missing = {"agentId": agent_id, "id": str(uuid.uuid4())}
    assert code(get(tasks, missing)) == (404, "TaskNotFound")
    assert code(cancel(tasks, missing)) == (404, "TaskNotFound")


def test_a_task_is_its_owners_alone(tasks: Service, agent_id: str) -> None:
    task = create(tasks, agent_id)
    attempts = [
        post(tasks, agent_id, by=GRACE),
        tasks.request("GET", f"/agents/{agent_id}/tasks", by=GRACE),
        get(tasks, task, by=GRACE),
        cancel(tasks, task, by=GRACE),
    ]
    assert [code(answer) for answer in attempts] == [(403, "Forbidden")] * 4
    assert get(tasks, task).body == task


@pytest.mark.parametrize(
    ("method", "suffix", "held"),
    [
        ("POST", "", READER),
        ("GET", "", WRITER),
        ("GET", "/t", WRITER),
        ("POST", "/t/cancel", READER),
        ("POST", "", Permission("agents", ("*",))),
    ],
)
def test_an_operation_needs_its_permission(
    tasks: Service, agent_id: str, method: str, suffix: str, held: Permission
) -> None:
    target = f"/agents/{agent_id}/tasks{suffix}"
    answer = tasks.request(method, target, {"description": "a"}, by=user("ada", (held,)))
    assert code(answer) == (403, "Forbidden")


def test_a_task_for_an_unknown_agent_is_refused_after_a_bounded_wait(tasks: Service) -> None:
    began = time.monotonic()
    answer = post(tasks, str(uuid.uuid4()))
    assert code(answer) == (404, "AgentNotFound")
    assert 1 < time.monotonic() - began < 2.5


def test_a_task_for_an_agent_created_a_moment_ago_works(tasks: Service) -> None:
    agent_id = str(uuid.uuid4())
    arrival = Timer(0.3, tasks.consume, [agents.created(agent_id)])
    arrival.start()
    try:
        assert create(tasks, agent_id)["status"] == "pending"
    finally:
        arrival.join()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"description": None},
        {"description": ""},
        {"description": " \n\t"},
        {"description": "d" * 10_001},
        {"description": 5},
        {"description": ["a"]},
        {"description": "a", "status": "completed"},
        {"description": "a", "agentId": "another"},
    ],
    ids=lambda body: str(body)[:40],
)
def test_a_bad_task_is_refused(tasks: Service, agent_id: str, body: object) -> None:
    answer = tasks.request("POST", f"/agents/{agent_id}/tasks", body, by=ADA)
    assert code(answer) == (400, "Invalid")
    assert tasks.outbox() == []


@pytest.mark.parametrize("name", ["a b", "x" * 65, "é"])
def test_what_can_not_be_an_id_is_not_found(tasks: Service, name: str) -> None:
    assert post(tasks, name).status == 404
    assert get(tasks, {"agentId": name, "id": name}).status == 404


def test_a_repeated_creation_makes_one_task(tasks: Service, agent_id: str) -> None:
    key = {"Idempotency-Key": "once"}
    first = post(tasks, agent_id, "é🤖", headers=key)
    again = post(tasks, agent_id, "é🤖", headers=key)
    assert (first.status, again.status) == (201, 201)
    assert again.body == first.body
    assert announced(tasks) == ["TaskCreated"]
    assert code(post(tasks, agent_id, "other", headers=key)) == (422, "IdempotencyMismatch")


def test_a_cancelled_task_stays_cancelled(tasks: Service, agent_id: str) -> None:
    task = create(tasks, agent_id)
    answer = cancel(tasks, task)
    assert answer.status == 200
    assert answer.body["status"] == "cancelled"
    assert answer.body["completedAt"]
    again = cancel(tasks, task)
    assert code(again) == (409, "TaskEnded")
    assert again.body["error"]["details"] == {"status": "cancelled"}
    assert get(tasks, task).body == answer.body
    assert announced(tasks) == ["TaskCancelled", "TaskCreated"]


def test_a_repeated_cancellation_is_answered_as_before(tasks: Service, agent_id: str) -> None:
    task, key = create(tasks, agent_id), {"Idempotency-Key": "once"}
    first = cancel(tasks, task, headers=key)
    assert cancel(tasks, task, headers=key).body == first.body
