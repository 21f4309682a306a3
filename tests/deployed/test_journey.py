"""The main journey on the deployed platform, with and without the faults it must survive."""

import json
import os
import signal
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psutil
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.platform import CALCULATE, CALCULATOR, Api, Platform, eventually

pytestmark = [pytest.mark.deployed, pytest.mark.e2e]

ours = {"source": [{"prefix": "realtime-agentic-api."}]}
DEAD_ENDPOINT = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def api(platform: Platform) -> Iterator[Api]:
    with platform.api() as api:
        yield api


def scripted_agent(platform: Platform, api: Api) -> dict[str, Any]:
    """Plans a tool call, a thought and an answer; three model calls in all. It works for long
    enough that the event of its end does not overtake that of the beginning."""
    model = f"scripted-{uuid.uuid4()}"
    steps = [
        CALCULATE,
        {"type": "reasoning", "description": "check"},
        {"type": "response", "description": "answer"},
    ]
    slowly = {"text": "It is 120.", "delayMs": 1000}
    platform.script(model, {"plan": {"steps": steps}}, {"text": "Right."}, slowly)
    return api.agent(CALCULATOR, model=model) | {"model": model}


def assert_done_once(platform: Platform, api: Api, agent: dict[str, Any], task: Any) -> None:
    """One execution, one plan, every step once: the outcome of a run in which nothing failed."""
    done = api.finished(task, seconds=60)
    assert (done["status"], done["result"]) == ("completed", "It is 120.")
    assert done["plan"]["steps"][0]["output"] == '{"result": 120}'
    assert len(platform.model_requests(agent["model"])) == 3
    executions = platform.aws("stepfunctions").list_executions(
        stateMachineArn=platform.state_machine_arn, maxResults=1000
    )["executions"]
    assert [e["name"] for e in executions if e["name"].startswith(task["id"])] == [
        f"{task['id']}-1"
    ]


def test_a_task_is_followed_live_from_creation_to_its_result(platform: Platform, api: Api) -> None:
    agent = scripted_agent(platform, api)
    with platform.socket() as socket:
        assert socket.subscribe(agent["id"])["agentId"] == agent["id"]
        task = api.task(agent["id"], "What is 12 * (7 + 3)?")
        received = [socket.receive("update")]
        while not _is_whole(received):
            received.append(socket.receive("update"))

    assert_done_once(platform, api, agent, task)
    updates = {update["eventId"]: update for update in received}.values()
    told = sorted(update["event"] for update in updates if update["event"].startswith("Task"))
    once = [name for name in told if name != "TaskProgress"]
    assert once == ["TaskCompleted", "TaskCreated", "TaskStarted"]
    progress = {u["data"]["currentStep"] for u in updates if u["event"] == "TaskProgress"}
    assert progress == {0, 1, 2, 3}, "a step that takes long says so more than once"
    assert len({update["seq"] for update in updates}) == len(updates)


def _is_whole(updates: list[dict[str, Any]]) -> bool:
    """The task has ended, the agent is idle again, and no number is missing: frames may overtake
    each other."""
    numbers = {update["seq"] for update in updates}
    gapless = len(numbers) == max(numbers) - min(numbers) + 1
    statuses = {u["data"]["newStatus"] for u in updates if u["event"] == "AgentStatusChanged"}
    told = {update["event"] for update in updates}
    steps = {u["data"]["currentStep"] for u in updates if u["event"] == "TaskProgress"}
    whole = {"TaskCreated", "TaskStarted", "TaskCompleted"} <= told and len(steps) == 4
    return gapless and whole and statuses == {"processing", "idle"}


def test_a_task_for_an_agent_created_a_moment_ago_works(api: Api) -> None:
    """Not each time: the wait is bounded, and the machine is busy with other tests."""

    def at_once() -> dict[str, Any] | None:
        agent = api.created("/agents", {"name": "new", "configuration": _configuration()})
        answer = api.post(f"/agents/{agent['id']}/tasks", json={"description": "Who are you?"})
        assert answer.status_code in (201, 404), answer.text
        return answer.json() if answer.status_code == 201 else None

    task = eventually(at_once)
    assert task, "never was an agent known in time"
    assert api.finished(task)["status"] == "completed"


def test_a_redelivered_task_created_changes_nothing(platform: Platform, api: Api) -> None:
    agent = scripted_agent(platform, api)
    with platform.recorder(ours) as recorder:
        task = api.task(agent["id"], "What is 12 * (7 + 3)?")

        def created(event: dict[str, Any]) -> bool:
            is_created = event["detail-type"] == "TaskCreated"
            return is_created and event["detail"]["taskId"] == task["id"]

        def completed(event: dict[str, Any]) -> bool:
            is_end = event["detail-type"] == "TaskCompleted"
            return is_end and event["detail"]["taskId"] == task["id"]

        (event,) = recorder.wait_for(created)
        entry = {
            "EventBusName": "agentic-local-bus",
            "Source": event["source"],
            "DetailType": event["detail-type"],
            "Detail": json.dumps(event["detail"]),
        }
        with ThreadPoolExecutor(5) as pool:
            list(pool.map(lambda _: platform.aws("events").put_events(Entries=[entry]), range(5)))
        assert_done_once(platform, api, agent, task)
        assert len(recorder.wait_for(created, 6)) == 6
        assert len(recorder.wait_for(completed)) == 1
    assert eventually(lambda: api.get(f"/agents/{agent['id']}").json()["status"] == "idle")


def test_a_crash_between_commit_and_publish_loses_nothing(platform: Platform, api: Api) -> None:
    agent = scripted_agent(platform, api)
    assert eventually(lambda: api.get(f"/agents/{agent['id']}/tasks").status_code == 200)
    with platform.recorder(ours) as recorder:
        with bus_out_of_reach(platform) as relay:
            task = api.task(agent["id"], "What is 12 * (7 + 3)?")
            killed = eventually(lambda: kill_workers(relay), seconds=10)
            assert killed, "the relay was never at work: the fault did not happen"
            assert api.read_task(task)["status"] == "pending"

        assert_done_once(platform, api, agent, task)
        told = recorder.wait_for(
            lambda e: e["detail"].get("taskId") == task["id"] and "Task" in e["detail-type"], 7
        )
    kinds = sorted(event["detail-type"] for event in told)
    assert kinds == ["TaskCompleted", "TaskCreated", *["TaskProgress"] * 4, "TaskStarted"]


@contextmanager
def bus_out_of_reach(platform: Platform) -> Iterator[str]:
    """The tasks service's relay cannot reach the bus: it is at work for seconds, and can be killed
    after the commit and before the publication. Yields the relay's function name."""
    functions = platform.aws("lambda")
    deployed = platform.function("tasks-RelayOutbox")
    relay, variables = deployed["FunctionName"], deployed["Environment"]["Variables"]
    broken = variables | {"AWS_ENDPOINT_URL_EVENTS": DEAD_ENDPOINT}
    functions.update_function_configuration(FunctionName=relay, Environment={"Variables": broken})
    try:
        yield relay
    finally:
        functions.update_function_configuration(
            FunctionName=relay, Environment={"Variables": variables}
        )


def kill_workers(function: str) -> int:
    """SIGKILL to the function's worker processes that were started since the fault began."""
    killed = 0
    for process in psutil.process_iter(["pid", "cmdline", "environ"]):
        command = " ".join(process.info["cmdline"] or [])
        broken = (process.info["environ"] or {}).get("AWS_ENDPOINT_URL_EVENTS") == DEAD_ENDPOINT
        if function in command and broken:
            os.kill(process.info["pid"], signal.SIGKILL)
            killed += 1
    return killed


def test_a_failing_provider_ends_the_task_with_a_reason(platform: Platform, api: Api) -> None:
    model = f"scripted-{uuid.uuid4()}"
    platform.script(model, {"status": 401, "message": "bad key sk-secret"}, repeat_last=True)
    task = api.finished(api.task(api.agent(model=model)["id"], "Who are you?"))
    assert task["status"] == "failed"
    assert task["error"]["code"] == "LLM_AUTH"
    assert "sk-secret" not in json.dumps(task)
    assert len(platform.model_requests(model)) == 1


def test_a_cancelled_task_stops_and_stays_cancelled(platform: Platform, api: Api) -> None:
    model = f"scripted-{uuid.uuid4()}"
    platform.script(model, {"delayMs": 1500})
    task = api.task(api.agent(model=model)["id"], "Who are you?")
    path = f"/agents/{task['agentId']}/tasks/{task['id']}"
    assert eventually(lambda: platform.model_requests(model))
    assert api.post(f"{path}/cancel").json()["status"] == "cancelled"
    assert eventually(lambda: platform.model_requests(model)[0]["durationMs"])
    assert api.post(f"{path}/cancel").status_code == 409
    assert api.read_task(task)["status"] == "cancelled"


def test_deleting_an_agent_cancels_its_tasks(platform: Platform, api: Api) -> None:
    model = f"scripted-{uuid.uuid4()}"
    platform.script(model, {"delayMs": 1500})
    task = api.task(api.agent(model=model)["id"], "Who are you?")
    assert api.delete(f"/agents/{task['agentId']}").status_code == 204
    assert api.get(f"/agents/{task['agentId']}").status_code == 404
    assert api.finished(task)["status"] == "cancelled"


@pytest.mark.parametrize("headers", [{}, {"Authorization": "ApiKey rta_wrong"}, {"x-api-key": ""}])
def test_a_socket_needs_valid_credentials(platform: Platform, headers: dict[str, str]) -> None:
    with pytest.raises(InvalidStatus) as refused:
        connect(platform.facts["statusWebSocketUrl"], additional_headers=headers)
    assert refused.value.response.status_code == 401


def test_users_do_not_see_each_other(platform: Platform, api: Api) -> None:
    task = api.finished(api.task(api.agent()["id"], "Who are you?"))
    agent = f"/agents/{task['agentId']}"
    assert eventually(lambda: api.get(f"{agent}/status").status_code == 200)
    with platform.api(user=1) as stranger:
        refused = [
            stranger.get(agent),
            stranger.put(agent, json={"name": "mine"}),
            stranger.delete(agent),
            stranger.get(f"{agent}/tasks"),
            stranger.post(f"{agent}/tasks", json={"description": "d"}),
            stranger.get(f"{agent}/tasks/{task['id']}"),
            stranger.post(f"{agent}/tasks/{task['id']}/cancel"),
            stranger.get(f"{agent}/status"),
            stranger.get(f"{agent}/updates"),
        ]
        assert [answer.status_code for answer in refused] == [403] * len(refused)
        assert stranger.get("/events", params={"taskId": task["id"]}).json()["items"] == []


BAD_BODIES = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'"text"',
    b'{"description": 1}',
    b'{"description": " "}',
    b'{"description": "d", "status": "completed"}',
    b'{"description": "d", "description": "e"}',
    b'{"description": NaN}',
    b'{"description": "\\ud800"}',
    b"\xff\xfe",
    b'{"description": "' + b"x" * 10_001 + b'"}',
    b"[" * 5000 + b"]" * 5000,
]


@pytest.mark.parametrize("body", BAD_BODIES, ids=lambda body: repr(body[:30]))
def test_a_bad_body_is_a_400_with_the_envelope(api: Api, body: bytes) -> None:
    agent = api.agent()
    path = f"/agents/{agent['id']}/tasks"
    answer = api.post(path, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400, answer.text
    assert {"code", "message", "requestId", "timestamp"} <= answer.json()["error"].keys()
    assert api.get(path).json()["items"] == []


def test_other_bad_requests_are_4xx_with_the_envelope(platform: Platform, api: Api) -> None:
    agent = api.agent()
    json_type = {"content-type": "application/json"}
    large = json.dumps({"name": "n" * 300_000}).encode()
    tool = CALCULATOR | {"handler": "agentic-local-authorize"}
    with platform.api() as anonymous:
        del anonymous.headers["authorization"]
        answers = {
            413: [api.post("/agents", content=large, headers=json_type)],
            400: [
                api.post("/agents", json={"name": "n", "configuration": _configuration(tool)}),
                api.get("/agents", params={"limit": "0"}),
                api.get("/agents", params={"nextToken": "garbage"}),
                api.get("/agents", params={"unknown": "1"}),
            ],
            401: [
                anonymous.get("/agents"),
                anonymous.get("/agents", headers={"authorization": "Bearer nonsense"}),
                anonymous.get("/agents", headers={"x-api-key": "rta_wrong"}),
            ],
            404: [
                api.get(f"/agents/{uuid.uuid4()}"),
                api.get("/agents/%23METADATA"),
                api.get(f"/agents/{agent['id']}/tasks/{uuid.uuid4()}"),
                api.get(f"/agents/{uuid.uuid4()}/tasks/{uuid.uuid4()}"),
                api.get("/nowhere"),
                api.patch("/agents"),
            ],
            415: [api.post("/agents", content=b"a=b", headers={"content-type": "text/plain"})],
        }
    for status, refused in answers.items():
        for answer in refused:
            assert answer.status_code == status, (str(answer.request.url), answer.text)
            assert {"code", "message", "requestId", "timestamp"} <= answer.json()["error"].keys()
            assert "$context" not in answer.text


def _configuration(*tools: object) -> dict[str, object]:
    return {"llmProvider": "openai", "model": "m", "tools": list(tools)}
