"""How many Lambda workers there are, with the emulator's own pools."""

import time
from typing import Any

import pytest
from ministack.core import lambda_runtime

from infra.local.workers import LARGE_MB, WORKERS_IN_ALL, Workers


def lease(workers: Workers, name: str, megabytes: int = 512) -> Any:
    arn = f"arn:aws:lambda:us-east-1:000000000000:function:{name}"
    return workers.acquire(name, {"FunctionArn": arn, "MemorySize": megabytes}, b"")


def makes_room(workers: Workers) -> bool:
    return workers._end_one_for("busy", {"MemorySize": LARGE_MB})


class Process:
    """Instead of a worker's process: nothing runs in it."""

    def __init__(self, name: str, config: dict[str, Any], _code: bytes) -> None:
        self.func_name, self.config = name, config
        self.in_use, self.last_used = False, 0.0
        self.ended = False

    def kill(self) -> None:
        self.ended = True


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> Workers:
    monkeypatch.setattr(lambda_runtime, "_workers", {})
    monkeypatch.setattr(lambda_runtime, "_worker_class_for", lambda _config: Process)
    monkeypatch.setattr(lambda_runtime, "kill_workers", lambda ended: [e.kill() for e in ended])
    return Workers(lambda_runtime)


def full_of_others(workers: Workers, idle_for: float) -> list[Process]:
    others = [lease(workers, f"other-{n}")[0] for n in range(WORKERS_IN_ALL - 1)]
    for number, other in enumerate(others):
        workers.release(other)
        other.last_used = time.time() - idle_for - number / 1000
    return others


def test_a_busy_function_gets_more_workers_instead_of_those_that_nobody_needs(
    workers: Workers,
) -> None:
    others = full_of_others(workers, idle_for=60)
    leased = [lease(workers, "busy", LARGE_MB)[0] for _ in range(3)]
    assert len(set(leased)) == 3
    assert [other for other in others if other.ended] == others[-2:], "idle for longest"
    assert len(workers._all()) == WORKERS_IN_ALL
    again, how = lease(workers, f"other-{WORKERS_IN_ALL - 2}")
    assert (again.ended, how) == (False, "spawn"), "who is needed again starts again"


def test_a_function_gets_no_more_workers_than_it_may_have(workers: Workers) -> None:
    others = full_of_others(workers, idle_for=60)
    for _ in range(3):
        lease(workers, "busy", LARGE_MB)
    assert not makes_room(workers)
    assert sum(other.ended for other in others) == 2


def test_who_was_needed_a_moment_ago_is_not_ended(workers: Workers) -> None:
    others = full_of_others(workers, idle_for=0)
    lease(workers, "busy", LARGE_MB)
    assert not makes_room(workers)
    assert not any(other.ended for other in others)


def test_who_is_at_work_is_not_ended(workers: Workers) -> None:
    others = full_of_others(workers, idle_for=60)
    for other in others:
        other.in_use = True
    lease(workers, "busy", LARGE_MB)
    assert not makes_room(workers)
