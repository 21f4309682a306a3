"""What the platform adds to the model's own time when an agent answers a message."""

import statistics
import time
import uuid
from typing import NamedTuple

from bench.tasks import MODEL_LATENCY_MS
from tests.platform import Api, Platform, Socket

RUNS = 25


class Turn(NamedTuple):
    wall_ms: float
    model_ms: float
    model_calls: int


def measure(platform: Platform) -> dict[str, object]:
    """From the request to the push of the answer."""
    with platform.api() as api, platform.socket() as socket:
        turns = [_turn(platform, api, socket) for _ in range(3 + RUNS)][3:]
    return {
        "overheadMs": round(statistics.median(t.wall_ms - t.model_ms for t in turns), 1),
        "modelCalls": statistics.median(turn.model_calls for turn in turns),
    }


def _turn(platform: Platform, api: Api, socket: Socket) -> Turn:
    model = f"bench-{uuid.uuid4()}"
    platform.script(model, {"text": "Good morning."})
    latency = {"model": model, "latencyMs": MODEL_LATENCY_MS}
    platform.simulator.put("/_control/latency", json=latency).raise_for_status()
    agent_id = api.agent(model=model)["id"]
    socket.subscribe(agent_id)
    started = time.perf_counter()
    answer = api.post(f"/agents/{agent_id}/messages", json={"content": "Good morning!"})
    assert answer.status_code in (201, 202), answer.text
    while socket.receive("update")["event"] != "AgentResponded":
        pass
    wall = time.perf_counter() - started
    stats = platform.simulator.get("/_control/stats", params={"model": model}).json()
    socket.send(action="unsubscribe", agentId=agent_id)
    return Turn(wall * 1000, stats["busyMs"], stats["requests"])
