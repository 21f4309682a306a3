"""How long after its commit an update reaches who watches, and how far apart a hundred hear it."""

import asyncio
import json
import statistics
import time
from datetime import datetime
from typing import Any, NamedTuple

from websockets.asyncio.client import ClientConnection, connect

from bench.tasks import SINGLE, scripted
from tests.platform import Api, Platform

TASKS = 25
SOCKETS = 100
ROUNDS = 10


class Heard(NamedTuple):
    event: str
    seconds: float


def measure(platform: Platform) -> dict[str, object]:
    with platform.api() as api:
        agent_id = scripted(platform, api, SINGLE)["id"]
        alone = asyncio.run(_alone(platform, api, agent_id))
        first, last = asyncio.run(_fan_out(platform, api, agent_id))
    return {
        "commitToPushMs": {"p50": _quantile(alone, 50), "p99": _quantile(alone, 99)},
        "fanout100Ms": {"first": _median(first), "last": _median(last)},
        "updates": len(alone),
    }


async def _alone(platform: Platform, api: Api, agent_id: str) -> list[float]:
    """Every update of tasks that follow one another."""
    times = []
    async with _socket(platform) as socket:
        await _subscribe(socket, agent_id)
        for _ in range(TASKS):
            await asyncio.to_thread(api.task, agent_id, "do it")
            while True:
                heard = _timed(await asyncio.wait_for(socket.recv(), 60))
                times += [heard.seconds] if heard else []
                if heard and heard.event == "TaskCompleted":
                    break
    return times


async def _fan_out(platform: Platform, api: Api, agent_id: str) -> tuple[list[float], list[float]]:
    """When the first and the last of many sockets hear that a task was created."""
    sockets = [await _socket(platform) for _ in range(SOCKETS)]
    try:
        for socket in sockets:
            await _subscribe(socket, agent_id)
        rounds = [await _round(sockets, api, agent_id) for _ in range(ROUNDS)]
    finally:
        await asyncio.gather(*(socket.close() for socket in sockets))
    return [min(times) for times in rounds], [max(times) for times in rounds]


async def _round(sockets: list[ClientConnection], api: Api, agent_id: str) -> list[float]:
    listening = asyncio.gather(*(_until_completed(socket) for socket in sockets))
    await asyncio.to_thread(api.task, agent_id, "do it")
    return [heard["TaskCreated"] for heard in await listening]


async def _until_completed(socket: ClientConnection) -> dict[str, float]:
    heard: dict[str, float] = {}
    while "TaskCompleted" not in heard:
        frame = _timed(await asyncio.wait_for(socket.recv(), 60))
        if frame:
            heard.setdefault(frame.event, frame.seconds)
    return heard


def _timed(text: str | bytes) -> Heard | None:
    """From the timestamp that the event was given right before its commit."""
    now, frame = time.time(), json.loads(text)
    if frame["type"] != "update":
        return None
    return Heard(frame["event"], now - datetime.fromisoformat(frame["timestamp"]).timestamp())


def _socket(platform: Platform) -> Any:
    headers = {"Authorization": f"ApiKey {platform.facts['users'][0]['apiKey']}"}
    return connect(platform.facts["statusWebSocketUrl"], additional_headers=headers)


async def _subscribe(socket: ClientConnection, agent_id: str) -> None:
    await socket.send(json.dumps({"action": "subscribe", "agentId": agent_id}))
    while json.loads(await asyncio.wait_for(socket.recv(), 60))["type"] != "subscribed":
        pass


def _median(seconds: list[float]) -> float:
    return round(statistics.median(seconds) * 1000, 1)


def _quantile(seconds: list[float], percent: int) -> float:
    return round(statistics.quantiles(seconds, n=100)[percent - 1] * 1000, 1)
