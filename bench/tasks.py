"""What the platform adds to the model's own time when it carries out a task."""

import json
import math
import statistics
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import httpx
import psutil

from tests.platform import CALCULATE, CALCULATOR, Api, Platform, Socket

MODEL_LATENCY_MS = 50
RUNS = 25
ENDS = ("TaskCompleted", "TaskFailed", "TaskCancelled")
STEP_FUNCTIONS_SLEEP_MS = 150
"""The emulator's runner sleeps this long in every execution, whatever it does."""


class Workload(NamedTuple):
    """A task whose plan is scripted, so that every run does the same."""

    name: str
    steps: list[dict[str, Any]]


SINGLE = Workload(
    "single",
    [{"type": "response", "description": "answer", "answer": "The answer is 42."}],
)
PLANNED = Workload(
    "planned",
    [
        CALCULATE,
        {"type": "reasoning", "description": "check it"},
        {"type": "response", "description": "answer"},
    ],
)


class Run(NamedTuple):
    wall_ms: float
    first_push_ms: float
    model_ms: float
    model_calls: int
    task: dict[str, Any]


def latency(platform: Platform, workload: Workload) -> dict[str, object]:
    with platform.api() as api, platform.socket() as socket:
        for _ in range(3):
            _run(platform, api, socket, workload)
        runs = [_run(platform, api, socket, workload) for _ in range(RUNS)]
        overhead = statistics.median(run.wall_ms - run.model_ms for run in runs)
        return {
            "overheadMs": round(overhead, 1),
            "overheadWithoutEmulatorSleepMs": round(overhead - STEP_FUNCTIONS_SLEEP_MS, 1),
            "firstPushMs": round(statistics.median(run.first_push_ms for run in runs), 1),
            "modelCalls": statistics.median(run.model_calls for run in runs),
            "transitions": _transitions(platform, runs[-1].task),
            **_counted(platform, api, socket, workload),
        }


def concurrent(platform: Platform, count: int) -> dict[str, float]:
    """So many planned tasks at once, each of an agent of its own, watched over one socket. The
    first time the functions have just been started, the second time they are warm."""
    cold, failed = _at_once(platform, count)
    warm, failed_warm = _at_once(platform, count)
    return {
        "tasksPerSecond": round(count / warm, 2),
        "tasksPerSecondCold": round(count / cold, 2),
        "failed": failed + failed_warm,
    }


def _at_once(platform: Platform, count: int) -> tuple[float, int]:
    """The seconds until the last one has ended, and how many did not complete."""
    with platform.api() as api, platform.socket() as socket:
        agents = [scripted(platform, api, PLANNED)["id"] for _ in range(count)]
        for agent_id in agents:
            socket.subscribe(agent_id)
        started = time.perf_counter()
        with ThreadPoolExecutor(10) as pool:
            tasks = list(pool.map(lambda agent_id: api.task(agent_id, "do it"), agents))
        running = {task["id"] for task in tasks}
        while running:
            update = socket.receive("update")
            if update["event"] in ENDS:
                running.discard(update["data"]["taskId"])
        seconds = time.perf_counter() - started
        return seconds, sum(api.read_task(task)["status"] != "completed" for task in tasks)


def worker_memory() -> dict[str, float]:
    """Resident memory of all Lambda workers of the emulator now, in MB."""
    sizes = [
        process.info["memory_info"].rss / 1e6
        for process in psutil.process_iter(["cmdline", "memory_info"])
        if any(part.endswith("_worker.py") for part in process.info["cmdline"] or [])
    ]
    return {"workers": len(sizes), "rssMb": round(sum(sizes))}


def _run(platform: Platform, api: Api, socket: Socket, workload: Workload) -> Run:
    agent = scripted(platform, api, workload)
    socket.subscribe(agent["id"])
    started = time.perf_counter()
    task = api.task(agent["id"], "do it")
    socket.receive("update")
    first = time.perf_counter()
    while socket.receive("update", seconds=60)["event"] != "TaskCompleted":
        pass
    wall = time.perf_counter() - started
    stats = platform.simulator.get("/_control/stats", params={"model": agent["model"]}).json()
    socket.send(action="unsubscribe", agentId=agent["id"])
    first_push = (first - started) * 1000
    return Run(wall * 1000, first_push, stats["busyMs"], stats["requests"], task)


def scripted(platform: Platform, api: Api, workload: Workload) -> dict[str, Any]:
    model = f"bench-{uuid.uuid4()}"
    answers = [{"text": "Here it is."}] * sum(s["type"] != "tool_call" for s in workload.steps)
    plan: dict[str, Any] = {"plan": {"steps": workload.steps}}
    platform.script(model, plan, *answers)
    latency = {"model": model, "latencyMs": MODEL_LATENCY_MS}
    platform.simulator.put("/_control/latency", json=latency).raise_for_status()
    return api.agent(CALCULATOR, model=model) | {"model": model}


def _transitions(platform: Platform, task: dict[str, Any]) -> int:
    """States entered, plus those of the Map's iterations (one for five steps, of three states),
    which the emulator's history leaves out."""
    arn = platform.execution_arn(f"{task['id']}-1")
    history = platform.aws("stepfunctions").get_execution_history(executionArn=arn, maxResults=1000)
    entered = [e for e in history["events"] if e["type"].endswith("StateEntered")]
    names = [e["stateEnteredEventDetails"]["name"] for e in entered]
    steps = platform.api().read_task(task)["plan"]["steps"]
    at_once = len(steps) == 1  # recorded with the plan: the Map has nothing to do
    return len(names) + (0 if at_once or "ExecuteStep" in names else 3 * math.ceil(len(steps) / 5))


def _counted(platform: Platform, api: Api, socket: Socket, workload: Workload) -> dict[str, object]:
    """Per task, over five tasks with the meter on; switched off while latency is measured."""
    tasks = 5
    events = 0
    _meter(platform, on=True)
    with platform.recorder({"source": [{"prefix": "realtime-agentic-api."}]}) as recorder:
        _meter(platform, on=True)
        for _ in range(tasks):
            run = _run(platform, api, socket, workload)
            agent_id = run.task["agentId"]
            time.sleep(0.5)
            events += len(recorder.seen(lambda e, a=agent_id: e["detail"].get("agentId") == a))  # type: ignore[misc]
        counted = _meter(platform, on=False)
    calls = {
        name: round(count / tasks, 1)
        for name, count in sorted(counted["calls"].items())
        if not name.startswith("AmazonSQS.ReceiveMessage")
    }
    return {
        "awsCalls": round(sum(calls.values()), 1),
        "awsCallsByOperation": calls,
        "writeUnits": counted["writeUnits"] / tasks,
        "events": events / tasks - 1,
    }


def _meter(platform: Platform, on: bool) -> dict[str, Any]:
    url = f"{platform.facts['baseUrl']}/_local/meter?{'on' if on else 'off'}"
    counted: dict[str, Any] = json.loads(httpx.get(url).text)
    return counted
