"""The main job before the reader's eyes: an agent, a task, live progress, the result."""

import json
import time
from collections.abc import Callable
from typing import Any

import httpx
from rich.console import Console
from rich.panel import Panel
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from infra.local.providers import preferred
from infra.local.settings import ROOT, Settings

TASK = "What is 12 * (7 + 3)?"
RESULT = "120"
PATIENCE_SECONDS = 90
TOOLS = [
    {
        "name": "calculator",
        "description": "Calculates an arithmetic expression exactly",
        "parameters": {
            "type": "object",
            "properties": {"expression": {"type": "string"}},
            "required": ["expression"],
        },
        "handler": "agentic-tool-calculator",
    }
]
AGENT_EXAMPLE = json.dumps(
    {
        "name": "Helper",
        "configuration": {"llmProvider": "openai", "model": "simulated", "tools": []},
    }
)
_SHOWN: dict[str, Callable[[dict[str, Any]], str]] = {
    "TaskCreated": lambda data: "task created",
    "TaskStarted": lambda data: "the agent starts",
    "TaskProgress": lambda data: (
        f"{data['currentStep']}/{data['totalSteps']} " + (data.get("stepDescription") or "planned")
    ),
    "TaskCompleted": lambda data: "completed",
    "TaskFailed": lambda data: f"failed: {data['errorMessage']}",
    "AgentStatusChanged": lambda data: f"agent is {data['newStatus']}",
}
_LAST = ("TaskCompleted", "TaskFailed", "TaskCancelled")


def main_job(console: Console, settings: Settings) -> bool:
    """Whether the task completed with the right result, as `GET` tells it."""
    platform = json.loads(settings.platform_file.read_text())
    key = platform["users"][0]["apiKey"]
    headers = {"Authorization": f"ApiKey {key}"}
    with httpx.Client(base_url=platform["baseUrl"], headers=headers, timeout=30) as api:
        try:
            task = _carry_out(console, api, platform["statusWebSocketUrl"], headers)
        except (httpx.HTTPError, WebSocketException, TimeoutError, OSError) as error:
            console.print(f"[red]✗[/] The demonstration broke off: {error}")
            return False
    right = task["status"] == "completed" and RESULT in (task["result"] or "")
    style, title = ("green", "Result") if right else ("red", f"Task {task['status']}")
    console.print(Panel(str(task["result"] or task["error"]), title=title, border_style=style))
    return right


def _carry_out(
    console: Console, api: httpx.Client, url: str, headers: dict[str, str]
) -> dict[str, Any]:
    provider = preferred()
    configuration = {"llmProvider": provider.name, "model": provider.model, "tools": TOOLS}
    agent = _created(api, "/agents", {"name": "Mathematician", "configuration": configuration})
    console.print(f"[green]✓[/] Created agent {agent['name']} [dim]{agent['id']}[/]")
    with connect(url, additional_headers=headers) as socket:
        socket.send(json.dumps({"action": "subscribe", "agentId": agent["id"]}))
        _receive(socket, "subscribed")
        task = _created(api, f"/agents/{agent['id']}/tasks", {"description": TASK})
        console.print(f"[green]✓[/] Gave it the task: [bold]{TASK}[/]")
        _show_progress(console, socket, task["id"])
    path = f"/agents/{agent['id']}/tasks/{task['id']}"
    answer: dict[str, Any] = api.get(path).raise_for_status().json()
    return answer


def _show_progress(console: Console, socket: ClientConnection, task_id: str) -> None:
    started = time.monotonic()
    while True:
        update = _receive(socket, "update")
        words = _SHOWN.get(update["event"], _nothing)(update.get("data", {}))
        passed = (time.monotonic() - started) * 1000
        console.print(f"  [dim]{passed:6.0f} ms  #{update['seq']:<3}[/] {update['event']}: {words}")
        if update["event"] in _LAST and update.get("taskId") == task_id:
            return


def _nothing(_data: dict[str, Any]) -> str:
    return ""


def _receive(socket: ClientConnection, kind: str) -> dict[str, Any]:
    while True:
        frame: dict[str, Any] = json.loads(socket.recv(timeout=PATIENCE_SECONDS))
        if frame["type"] == kind:
            return frame


def _created(api: httpx.Client, path: str, body: dict[str, object]) -> dict[str, Any]:
    answer: dict[str, Any] = api.post(path, json=body).raise_for_status().json()
    return answer


def print_examples(console: Console, settings: Settings) -> None:
    platform = json.loads(settings.platform_file.read_text())
    key, base = platform["users"][0]["apiKey"], platform["baseUrl"]
    console.print(
        Panel(
            f"""Base URL   {base}
API key    {key}

[bold]Your agents[/]
curl -s {base}/agents -H 'Authorization: ApiKey {key}'

[bold]A new agent[/]
curl -s {base}/agents -H 'Authorization: ApiKey {key}' \\
  -H 'Content-Type: application/json' \\
  -d '{AGENT_EXAMPLE}'

[bold]A task for it[/]  (put the agent's id in)
curl -s {base}/agents/AGENT_ID/tasks -H 'Authorization: ApiKey {key}' \\
  -H 'Content-Type: application/json' -d '{{"description": "Who are you?"}}'

[bold]Watch it live[/]  (then send {{"action": "subscribe", "agentId": "AGENT_ID"}})
.venv/bin/python -m examples.watch AGENT_ID

Everything is in {settings.platform_file.relative_to(ROOT)}; Ctrl-C stops the platform.""",
            title="Try it",
        ),
        soft_wrap=True,
    )
