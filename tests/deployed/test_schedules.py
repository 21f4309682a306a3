"""Schedules on the deployed platform: EventBridge Scheduler fires, and a task is done."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.platform import Api, Platform, eventually

pytestmark = pytest.mark.deployed


@pytest.fixture(scope="module")
def api(platform: Platform) -> Iterator[Api]:
    with platform.api(platform.new_user("scheduling")) as api:
        yield api


@pytest.fixture(scope="module")
def agent(api: Api) -> dict[str, Any]:
    return api.agent()


def tasks(api: Api, agent: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """By their descriptions."""
    items = api.get(f"/agents/{agent['id']}/tasks?limit=100").json()["items"]
    return {task["description"]: task for task in items}


def test_what_is_due_in_any_time_zone_is_done_and_what_was_deleted_is_not(
    api: Api, agent: dict[str, Any]
) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=6)
    zones = ("UTC", "Asia/Kolkata", "America/St_Johns")
    schedules = {}
    for zone in (*zones, "deleted", "disabled"):
        place = zone if zone in zones else "UTC"
        at = soon.astimezone(ZoneInfo(place)).strftime("%Y-%m-%dT%H:%M:%S")
        wanted = {"agentId": agent["id"], "description": zone, "at": at, "timezone": place}
        schedules[zone] = api.created("/schedules", wanted | {"enabled": zone != "disabled"})
    api.delete(f"/schedules/{schedules['deleted']['id']}").raise_for_status()

    assert eventually(lambda: set(zones) <= tasks(api, agent).keys())
    assert tasks(api, agent).keys() == set(zones)
    for zone in zones:
        task = tasks(api, agent)[zone]
        assert api.finished(task)["status"] == "completed"
        shown = api.get(f"/schedules/{schedules[zone]['id']}").json()
        assert shown["lastFiring"]["id"] == task["id"]
        assert shown["lastFiring"]["outcome"] == "started"
        assert shown["nextAt"] is None


def test_a_schedule_of_every_minute_comes_again_at_the_full_minute(
    api: Api, agent: dict[str, Any]
) -> None:
    wanted = {"agentId": agent["id"], "description": "every minute", "cron": "* * * * ? *"}
    schedule = api.created("/schedules", wanted | {"timezone": "Asia/Kathmandu"})
    task = eventually(lambda: tasks(api, agent).get("every minute"))
    assert task
    shown = api.get(f"/schedules/{schedule['id']}").json()
    assert shown["lastFiring"]["dueAt"].endswith(":00.000Z")
    api.delete(f"/schedules/{schedule['id']}").raise_for_status()


def test_a_user_who_may_not_any_more_is_refused_and_told(platform: Platform) -> None:
    account = platform.new_user("revoked")
    with platform.api(account) as api, platform.api(platform.facts["operator"]) as operator:
        agent = api.agent()
        soon = datetime.now(UTC) + timedelta(seconds=5)
        at = soon.strftime("%Y-%m-%dT%H:%M:%S")
        wanted = {"agentId": agent["id"], "description": "no", "at": at}
        schedule = api.created("/schedules", wanted)
        kept = ("agents", "tasks", "events")
        allowed = [{"resource": each, "actions": ["read"]} for each in kept]
        path = f"/auth/users/{account['userId']}"
        operator.put(path, json={"permissions": allowed}).raise_for_status()

        def told() -> list[dict[str, Any]]:
            items = api.get("/errors").json()["items"]
            return [e["detail"] for e in items if e["detail"]["component"] == "tasks.schedules"]

        (error,) = eventually(told)
        assert error["errorType"] == "Forbidden"
        assert error["context"]["scheduleId"] == schedule["id"]
        assert tasks(api, agent) == {}
