"""What a REST call costs on the local platform."""

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.platform import Platform

CALLS = 60
SECONDS = 5.0
CLIENTS = 4


def measure(platform: Platform) -> dict[str, float]:
    with platform.api() as api:
        agent = api.agent()
        body = {"name": "bench", "configuration": agent["configuration"]}
        return {
            "createAgentP50Ms": p50(lambda: api.created("/agents", body)),
            "getAgentP50Ms": p50(lambda: api.get(f"/agents/{agent['id']}").raise_for_status()),
            "getAgentRequestsPerSecond": _throughput(platform, f"/agents/{agent['id']}"),
        }


def p50(call: Callable[[], object]) -> float:
    for _ in range(5):
        call()
    return round(statistics.median(_milliseconds(call) for _ in range(CALLS)), 1)


def _milliseconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) * 1000


def _throughput(platform: Platform, path: str) -> float:
    """Requests per second of four clients that do not wait between theirs."""
    deadline = time.monotonic() + SECONDS

    def client(_number: int) -> int:
        answered = 0
        with platform.api() as api:
            while time.monotonic() < deadline:
                api.get(path).raise_for_status()
                answered += 1
        return answered

    with ThreadPoolExecutor(CLIENTS) as pool:
        return round(sum(pool.map(client, range(CLIENTS))) / SECONDS, 1)
