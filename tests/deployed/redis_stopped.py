"""The last thing that is asked of a platform: its Redis is stopped under a task, and stays stopped.
Only `tests/run.py` collects this file; who runs it needs a new platform afterwards."""

import os
import signal
import uuid
from collections.abc import Iterator

import pytest

from infra.local.processes import Processes
from infra.local.settings import Settings
from tests.deployed.test_conversations import ended, say
from tests.deployed.test_journey import assert_done_once, scripted_agent
from tests.platform import Api, Platform, eventually

pytestmark = pytest.mark.deployed
MODEL_MS = 1500


@pytest.fixture(scope="module")
def api(platform: Platform) -> Iterator[Api]:
    with platform.api() as api:
        yield api


def redis_is_running() -> bool:
    return "redis" in Processes(Settings.from_environment()).running()


def stop_redis() -> None:
    os.kill(Processes(Settings.from_environment()).running()["redis"], signal.SIGKILL)
    assert eventually(lambda: not redis_is_running())


def test_a_task_goes_on_when_redis_is_gone(platform: Platform, api: Api) -> None:
    agent = scripted_agent(platform, api)
    latency = {"model": agent["model"], "latencyMs": MODEL_MS}
    platform.simulator.put("/_control/latency", json=latency).raise_for_status()
    with platform.socket() as socket:
        socket.subscribe(agent["id"])
        task = api.task(agent["id"], "What is 12 * (7 + 3)?")
        while socket.receive("update")["event"] != "TaskStarted":
            pass
        assert redis_is_running()
        stop_redis()
        while socket.receive("update")["event"] != "TaskCompleted":
            pass
    assert_done_once(platform, api, agent, task)


def test_agents_talk_remember_and_are_changed_without_redis(platform: Platform, api: Api) -> None:
    assert not redis_is_running()
    model = f"talk-{uuid.uuid4()}"
    platform.script(model, {"text": "Good morning."}, {"text": "Ada."})
    agent_id = api.agent(model=model)["id"]
    first = say(api, agent_id, "My name is Ada.")
    assert ended(api, first)["answer"] == "Good morning."
    second = say(api, agent_id, "What is my name?", first["sessionId"])
    assert ended(api, second)["answer"] == "Ada."
    heard = str(platform.model_requests(model)[-1]["body"]["messages"])
    assert "My name is Ada." in heard
    changed = api.get(f"/agents/{agent_id}").json()
    changed["configuration"]["systemPrompt"] = "Be brief."
    wanted = {"name": "renamed", "configuration": changed["configuration"]}
    api.put(f"/agents/{agent_id}", json=wanted).raise_for_status()
    assert api.get(f"/agents/{agent_id}").json()["name"] == "renamed"


def test_nobody_is_refused_without_redis(api: Api) -> None:
    assert not redis_is_running()
    assert [api.get("/agents").status_code for _ in range(30)] == [200] * 30
