"""Schedules through their routes, the queue of their firings, and the events about their tasks."""

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
import time_machine
from common.clock import timestamp
from common.events.auth import UserChangedV1
from common.events.base import Event
from common.events.tasks import ErrorOccurredV1, TaskCompletedV1, TaskFailedV1
from common.principals import Permission
from common.quotas import DEFAULT_QUOTAS, Quotas

from tests import agents
from tests.service import Answer, Service, user

BOB = user("bob")
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def events(service: Any, clock: object) -> Service:
    started: Service = service("events")
    queue = "arn:aws:sqs:us-east-1:123456789012:"
    os.environ["SCHEDULE_PREFIX"] = "agentic-test-"
    os.environ["FIRINGS_ARN"] = f"{queue}firings"
    os.environ["DEAD_LETTERS_ARN"] = f"{queue}dead-letters"
    os.environ["SCHEDULER_ROLE_ARN"] = "arn:aws:iam::123456789012:role/scheduler"
    started.module.scheduler.cache_clear()  # type: ignore[attr-defined]
    assert started.consume(agents.created("a1", "ada"), agents.created("b1", "bob")) == []
    return started


def wanted(**fields: Any) -> dict[str, Any]:
    given = {"agentId": "a1", "description": "Tell the news", "rate": "1 hour"} | fields
    return {name: value for name, value in given.items() if value is not None}


def post(events: Service, **fields: Any) -> Answer:
    return events.request("POST", "/schedules", wanted(**fields))


def created(events: Service, **fields: Any) -> str:
    answer = post(events, **fields)
    assert answer.status == 201, answer
    return str(answer.body["id"])


def read(events: Service, schedule_id: str) -> dict[str, Any]:
    answer = events.request("GET", f"/schedules/{schedule_id}")
    assert answer.status == 200, answer
    return dict(answer.body)


def due(events: Service, schedule_id: str, at: str) -> None:
    """As EventBridge Scheduler says it."""
    body = json.dumps({"scheduleId": schedule_id, "dueAt": at})
    record = {"messageId": "1", "body": body, "eventSourceARN": "arn:firings"}
    answer = events.call("fire_schedule", {"Records": [record]})
    assert answer == {"batchItemFailures": []}


def announced(events: Service, name: str) -> list[dict[str, Any]]:
    told = [each["detail"] for each in events.outbox() if each["detail-type"] == name]
    return sorted(told, key=lambda detail: str(detail.get("dueAt")))


def scheduled(events: Service) -> list[str]:
    return [detail["dueAt"] for detail in announced(events, "ScheduledTask")]


def told(events: Service) -> None:
    """What the service announced of schedules comes back to it."""
    for detail in announced(events, "ScheduleChanged"):
        event = events.module.ScheduleChangedV1.model_validate(detail)  # type: ignore[attr-defined]
        assert events.consume(event) == []


def in_scheduler(schedule_id: str) -> dict[str, Any] | None:
    client = boto3.client("scheduler")
    try:
        return dict(client.get_schedule(Name=f"agentic-test-{schedule_id}"))
    except client.exceptions.ResourceNotFoundException:
        return None


def about(task_id: str) -> dict[str, Any]:
    return {"user_id": "ada", "aggregate_id": task_id, "aggregate_version": 5}


def completed(task_id: str) -> Event:
    return TaskCompletedV1(task_id=task_id, agent_id="a1", result="done", **about(task_id))


def refused(task_id: str, code: str = "Forbidden") -> Event:
    return ErrorOccurredV1(
        component="tasks.schedules",
        error_type=code,
        error_message="no",
        context={"firingId": task_id},
        **about(task_id),
    )


def test_a_schedule_reads_back_with_its_next_time(events: Service) -> None:
    schedule_id = created(events, rate=None, cron="0 9 ? * MON-FRI *", timezone="Europe/Berlin")
    shown = read(events, schedule_id)
    assert shown == {
        "id": schedule_id,
        "userId": "ada",
        "agentId": "a1",
        "description": "Tell the news",
        "at": None,
        "rate": None,
        "cron": "0 9 ? * MON-FRI *",
        "timezone": "Europe/Berlin",
        "startsAt": None,
        "endsAt": None,
        "enabled": True,
        "onOverlap": "skip",
        "nextAt": "2030-01-02T08:00:00.000Z",
        "lastFiring": None,
        "createdAt": "2030-01-01T12:00:00.000Z",
        "updatedAt": "2030-01-01T12:00:00.000Z",
    }
    assert events.request("GET", "/schedules").body["items"] == [shown]
    assert events.request("GET", "/schedules", by=BOB).body["items"] == []


@pytest.mark.parametrize(
    ("fields", "next_at"),
    [
        ({"rate": "5 minutes"}, "2030-01-01T12:05:00.000Z"),
        ({"rate": "1 day", "startsAt": "2030-02-01T06:00:00Z"}, "2030-02-02T06:00:00.000Z"),
        ({"rate": None, "at": "2030-01-01T14:00:00"}, "2030-01-01T14:00:00.000Z"),
        (
            {"rate": None, "at": "2030-01-01T14:00:00", "timezone": "Europe/Berlin"},
            "2030-01-01T13:00:00.000Z",
        ),
        ({"rate": "1 hour", "enabled": False}, None),
    ],
)
def test_the_next_time(events: Service, fields: dict[str, Any], next_at: str | None) -> None:
    assert read(events, created(events, **fields))["nextAt"] == next_at


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("at", {"rate": None, "at": "tomorrow"}),
        ("at", {"rate": None, "at": "2030-02-30T00:00:00"}),
        ("at", {"rate": None, "at": "2030-02-03T00:00:00Z"}),
        ("rate", {"rate": "5 seconds"}),
        ("rate", {"rate": "0 hours"}),
        ("rate", {"rate": "1 hours"}),
        ("rate", {"rate": "2 hour"}),
        ("cron", {"rate": None, "cron": "0 25 * * ? *"}),
        ("cron", {"rate": None, "cron": "* * * * *"}),
        ("timezone", {"timezone": "Berlin"}),
        ("timezone", {"timezone": "+01:00"}),
        ("startsAt", {"startsAt": "2030-01-01"}),
        ("endsAt", {"endsAt": "2030-01-01T00:00:00+01:00"}),
        ("agentId", {"agentId": "#"}),
        ("description", {"description": ""}),
        ("onOverlap", {"onOverlap": "wait"}),
        ("body", {"rate": None}),
        ("body", {"cron": "0 9 * * ? *"}),
        ("body", {"startsAt": "2031-01-01T00:00:00Z", "endsAt": "2030-01-01T00:00:00Z"}),
        ("body", {"rate": None, "at": "2030-03-31T02:30:00", "timezone": "Europe/Berlin"}),
        ("userId", {"userId": "bob"}),
    ],
)
def test_what_cannot_be_meant_is_refused_field_by_field(
    events: Service, field: str, fields: dict[str, Any]
) -> None:
    answer = post(events, **fields)
    assert answer.status == 400, answer
    assert [each["field"] for each in answer.body["error"]["details"]["fields"]] == [field]


@pytest.mark.parametrize(
    "fields",
    [
        {"rate": None, "at": "2030-01-01T11:59:59"},
        {"endsAt": "2030-01-01T12:30:00Z"},
        {"rate": None, "cron": "0 0 30 2 ? *"},
    ],
)
def test_what_would_never_be_due_is_refused(events: Service, fields: dict[str, Any]) -> None:
    answer = post(events, **fields)
    assert (answer.status, answer.body["error"]["code"]) == (400, "Invalid")


def test_a_schedule_is_for_an_agent_of_ones_own(events: Service) -> None:
    assert post(events, agentId="b1").status == 403
    assert post(events, agentId="nobody").status == 404
    assert events.consume(agents.deleted("a1", 2)) == []
    assert events.consume(agents.created("a1", "ada")) == []  # late
    assert post(events).status == 404


def test_another_users_schedule_is_forbidden_and_a_missing_one_missing(events: Service) -> None:
    path = f"/schedules/{created(events)}"
    for method, body in (("GET", None), ("PUT", wanted()), ("DELETE", None)):
        assert events.request(method, path, body, by=BOB).status == 403
        assert events.request(method, "/schedules/none", body).status == 404


def test_it_takes_the_permission_to_give_tasks(events: Service) -> None:
    reader = user(permissions=(Permission("tasks", ("read",)), Permission("events", ("*",))))
    assert events.request("POST", "/schedules", wanted(), by=reader).status == 403
    assert events.request("GET", "/schedules", by=reader).status == 200


def test_a_user_has_so_many_schedules_and_no_more(events: Service) -> None:
    ada = user(quotas=Quotas(schedules=1))
    first = events.request("POST", "/schedules", wanted(), by=ada)
    refusal = events.request("POST", "/schedules", wanted(), by=ada)
    assert (refusal.status, refusal.body["error"]["details"]["quota"]) == (429, "schedules")
    assert events.request("DELETE", f"/schedules/{first.body['id']}", by=ada).status == 204
    assert events.request("POST", "/schedules", wanted(), by=ada).status == 201


def test_a_request_that_comes_again_makes_one_schedule(events: Service) -> None:
    key = {"Idempotency-Key": "k"}
    answers = [events.request("POST", "/schedules", wanted(), headers=key) for _ in range(2)]
    assert answers[0].body == answers[1].body
    assert len(events.request("GET", "/schedules").body["items"]) == 1


def test_eventbridge_scheduler_is_told_of_every_change(events: Service) -> None:
    schedule_id = created(events, startsAt="2030-01-02T00:00:00Z")
    told(events)
    kept = in_scheduler(schedule_id)
    assert kept
    assert kept["ScheduleExpression"] == "rate(1 hour)"
    assert kept["State"] == "ENABLED"
    assert kept["Target"]["Arn"].endswith(":firings")
    assert json.loads(kept["Target"]["Input"])["scheduleId"] == schedule_id

    changed = wanted(rate=None, cron="0 9 * * ? *", timezone="Asia/Tokyo", enabled=False)
    assert events.request("PUT", f"/schedules/{schedule_id}", changed).status == 200
    told(events)
    kept = in_scheduler(schedule_id)
    assert kept
    assert kept["ScheduleExpression"] == "cron(0 9 * * ? *)"
    assert kept["ScheduleExpressionTimezone"] == "Asia/Tokyo"
    assert kept["State"] == "DISABLED"

    assert events.request("DELETE", f"/schedules/{schedule_id}").status == 204
    for _ in range(2):
        told(events)
        assert in_scheduler(schedule_id) is None


def test_what_is_due_is_announced_once(events: Service) -> None:
    schedule_id = created(events)
    for _ in range(3):
        due(events, schedule_id, "2030-01-01T12:00:00Z")
    (task,) = announced(events, "ScheduledTask")
    assert task["parameters"] == {"agentId": "a1", "description": "Tell the news"}
    assert (task["userId"], task["scheduleId"], task["taskType"]) == (
        "ada",
        schedule_id,
        "agent_task",
    )
    assert task["dueAt"] == "2030-01-01T12:00:00.000Z"
    shown = read(events, schedule_id)["lastFiring"]
    assert shown == {"id": task["eventId"], "dueAt": task["dueAt"], "outcome": "started"}


def test_different_times_are_different_tasks(events: Service) -> None:
    schedule_id = created(events, onOverlap="parallel")
    due(events, schedule_id, "2030-01-01T12:00:00Z")
    due(events, schedule_id, "2030-01-01T12:10:00Z")
    ids = [detail["eventId"] for detail in announced(events, "ScheduledTask")]
    assert len(set(ids)) == 2


@pytest.mark.parametrize(
    ("fields", "at"),
    [
        ({"enabled": False}, "2030-01-01T12:00:00Z"),
        ({"startsAt": "2030-01-01T13:00:00Z"}, "2030-01-01T12:00:00Z"),
        ({"endsAt": "2030-01-01T14:00:00Z"}, "2030-01-01T15:00:00Z"),
        ({"rate": None, "cron": "0 9 * * ? *"}, "2030-01-01T12:00:00Z"),
        ({"rate": None, "at": "2030-01-01T13:00:00"}, "2030-01-01T12:00:00Z"),
    ],
)
def test_what_is_not_due_as_the_schedule_is_now_is_dropped(
    events: Service, fields: dict[str, Any], at: str
) -> None:
    schedule_id = created(events, **fields)
    due(events, schedule_id, at)
    assert scheduled(events) == []
    assert in_scheduler(schedule_id)  # told anew how it is


def test_a_firing_of_a_deleted_schedule_is_dropped_for_good(events: Service) -> None:
    schedule_id = created(events)
    told(events)
    assert events.request("DELETE", f"/schedules/{schedule_id}").status == 204
    due(events, schedule_id, "2030-01-01T12:00:00Z")
    assert scheduled(events) == []
    assert in_scheduler(schedule_id) is None


def test_what_is_noticed_an_hour_late_is_missed_and_told(events: Service) -> None:
    schedule_id = created(events)
    due(events, schedule_id, timestamp(NOON - timedelta(minutes=59)))
    due(events, schedule_id, timestamp(NOON - timedelta(minutes=61)))
    assert scheduled(events) == ["2030-01-01T11:01:00.000Z"]
    (error,) = announced(events, "ErrorOccurred")
    assert (error["errorType"], error["userId"]) == ("ScheduleMissed", "ada")
    assert read(events, schedule_id)["lastFiring"]["outcome"] == "missed"


TIMES = [f"2030-01-01T12:{minute:02d}:00.000Z" for minute in range(30)]


def test_while_a_task_runs_the_next_is_skipped(events: Service) -> None:
    schedule_id = created(events, onOverlap="skip")
    due(events, schedule_id, TIMES[0])
    due(events, schedule_id, TIMES[1])
    assert scheduled(events) == TIMES[:1]
    assert read(events, schedule_id)["lastFiring"]["outcome"] == "skipped"
    (first,) = announced(events, "ScheduledTask")
    for _ in range(2):
        assert events.consume(completed(first["eventId"])) == []
    due(events, schedule_id, TIMES[1])  # it was skipped, and stays so
    due(events, schedule_id, TIMES[2])
    assert scheduled(events) == [TIMES[0], TIMES[2]]


def test_or_waits_for_its_turn(events: Service) -> None:
    schedule_id = created(events, onOverlap="queue")
    for at in TIMES[:3]:
        due(events, schedule_id, at)
    for number in (1, 2, 3):
        assert scheduled(events) == TIMES[:number]
        latest = announced(events, "ScheduledTask")[-1]["eventId"]
        about_it = about(latest)
        failed = TaskFailedV1(
            task_id=latest, agent_id="a1", error_code="E", error_message="m", **about_it
        )
        for _ in range(2):
            assert events.consume(failed) == []
    assert scheduled(events) == TIMES[:3]


def test_ten_wait_and_no_more(events: Service) -> None:
    schedule_id = created(events, onOverlap="queue")
    for at in TIMES[:12]:
        due(events, schedule_id, at)
    assert read(events, schedule_id)["lastFiring"]["outcome"] == "skipped"


def test_or_runs_beside_it(events: Service) -> None:
    schedule_id = created(events, onOverlap="parallel")
    for at in TIMES[:3]:
        due(events, schedule_id, at)
    assert scheduled(events) == TIMES[:3]


def test_a_task_that_never_ends_is_not_waited_for_forever(
    events: Service, clock: time_machine.Traveller
) -> None:
    schedule_id = created(events)
    due(events, schedule_id, TIMES[0])
    clock.shift(timedelta(hours=26))
    later = timestamp(datetime.now(UTC))
    due(events, schedule_id, later)
    assert scheduled(events) == [TIMES[0], later]


def test_a_refused_task_is_no_obstacle(events: Service) -> None:
    schedule_id = created(events)
    due(events, schedule_id, TIMES[0])
    assert events.consume(refused(announced(events, "ScheduledTask")[0]["eventId"])) == []
    assert read(events, schedule_id)["lastFiring"]["outcome"] == "refused"
    due(events, schedule_id, TIMES[1])
    assert scheduled(events) == TIMES[:2]


def test_a_schedule_whose_agent_is_gone_is_switched_off(events: Service) -> None:
    schedule_id = created(events)
    due(events, schedule_id, TIMES[0])
    gone = refused(announced(events, "ScheduledTask")[0]["eventId"], "AgentNotFound")
    assert events.consume(gone) == []
    assert read(events, schedule_id)["enabled"] is False
    assert [each["state"] for each in announced(events, "ScheduleChanged")].count("disabled") == 1


def changed(version: int, scope: str, disabled: bool = False) -> UserChangedV1:
    quotas = DEFAULT_QUOTAS.wire() | {"activeTasks": version}
    about_user = about("ada") | {"aggregate_version": version}
    return UserChangedV1(scope=scope, quotas=quotas, disabled=disabled, **about_user)


def test_a_firing_carries_what_its_owner_may_do_now(events: Service) -> None:
    schedule_id = created(events, onOverlap="parallel")
    due(events, schedule_id, TIMES[0])
    newer, older = changed(3, "tasks:read"), changed(2, "tasks:write")
    assert events.consume(newer, older, newer) == []
    due(events, schedule_id, TIMES[1])
    assert events.consume(changed(4, "tasks:write", disabled=True)) == []
    due(events, schedule_id, TIMES[2])
    tasks = announced(events, "ScheduledTask")
    assert [task["scope"] for task in tasks] == ["*:*", "tasks:read", ""]
    assert [task["quotas"]["activeTasks"] for task in tasks] == [50, 3, 4]


def test_a_message_that_is_none_comes_again_until_it_is_dead(events: Service) -> None:
    records = [
        {"messageId": str(number), "body": body, "eventSourceARN": "arn:firings"}
        for number, body in enumerate(["", "{}", '{"scheduleId": "a", "dueAt": "now"}'])
    ]
    answer = events.call("fire_schedule", {"Records": records})
    failed = [each["itemIdentifier"] for each in answer["batchItemFailures"]]
    assert failed == ["0", "1", "2"]
