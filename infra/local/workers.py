"""How many Lambda worker processes there are: calls queue for them, where the emulator would start
one more per call."""

import threading
import time
from collections import defaultdict
from types import ModuleType
from typing import Any

WORKERS_IN_ALL = 34
WORKERS_PER_FUNCTION = 2
WORKERS_PER_LARGE_FUNCTION = 3
IDLE_SECONDS = 5.0
LARGE_MB = 1024
"""On AWS a function scales to hundreds; here two cores and 2.5 GB do all the work. The large
functions are those that wait for a model: one more of them has something to do meanwhile."""


class Workers:
    """A function always gets its first worker, and more within the bounds: if there are as many as
    may be, instead of the one that has been idle for longest."""

    def __init__(self, runtime: ModuleType) -> None:
        self._runtime = runtime
        self._acquire = runtime.acquire_worker
        self._release = runtime.release_worker
        self._freed: defaultdict[str, threading.Condition] = defaultdict(threading.Condition)

    def acquire(self, name: str, config: dict[str, Any], *rest: Any, **options: Any) -> Any:
        """Waits for a free worker of the function."""
        with self._freed[name]:
            while True:
                limit = self._limit(config)
                worker, how = self._acquire(name, config, *rest, max_concurrency=limit, **options)
                if worker is not None:
                    return worker, how
                if not self._end_one_for(name, config):
                    self._freed[name].wait(timeout=1)  # others' workers tell us nothing

    def release(self, worker: Any) -> None:
        self._release(worker)
        if worker is not None:
            with self._freed[worker.func_name]:
                self._freed[worker.func_name].notify()

    def leased(self, *wanted: Any, **options: Any) -> "_Leased":
        """For socket events: the emulator would share one worker among all connections."""
        return _Leased(self, wanted, options)

    def _limit(self, config: dict[str, Any]) -> int:
        return 1 if len(self._all()) >= WORKERS_IN_ALL else _bound(config)

    def _all(self) -> list[Any]:
        return [worker for pool in list(self._runtime._workers.values()) for worker in pool]

    def _end_one_for(self, name: str, config: dict[str, Any]) -> bool:
        """Whether a worker that nobody has needed for a while made room for one of this function,
        if it may have one more."""
        if sum(worker.func_name == name for worker in self._all()) >= _bound(config):
            return False
        with self._runtime._lock:
            ended = self._longest_idle()
            for pool in self._runtime._workers.values():
                if ended in pool:
                    pool.remove(ended)
        self._runtime.kill_workers([ended] if ended else [])
        return ended is not None

    def _longest_idle(self) -> Any:
        since = time.time() - IDLE_SECONDS
        idle = [each for each in self._all() if not each.in_use and each.last_used < since]
        return min(idle, key=lambda worker: worker.last_used, default=None)


def _bound(config: dict[str, Any]) -> int:
    is_large = config.get("MemorySize", 0) >= LARGE_MB
    return WORKERS_PER_LARGE_FUNCTION if is_large else WORKERS_PER_FUNCTION


class _Leased:
    def __init__(self, workers: Workers, wanted: tuple[Any, ...], options: dict[str, Any]) -> None:
        self._workers = workers
        self._wanted = wanted, options

    def invoke(self, event: Any, request_id: str) -> Any:
        worker, _ = self._workers.acquire(*self._wanted[0], **self._wanted[1])
        try:
            return worker.invoke(event, request_id)
        finally:
            self._workers.release(worker)
