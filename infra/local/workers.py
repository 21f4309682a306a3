"""How many Lambda worker processes there are: calls queue for them, where the emulator would start
one more per call."""

import threading
from collections import defaultdict
from types import ModuleType
from typing import Any

WORKERS_IN_ALL = 34
WORKERS_PER_FUNCTION = 2
WORKERS_PER_LARGE_FUNCTION = 3
LARGE_MB = 1024
"""On AWS a function scales to hundreds; here two cores and 2.5 GB do all the work. The large
functions are those that wait for a model: one more of them has something to do meanwhile."""


class Workers:
    """A function always gets its first worker, and more within the bounds."""

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
                self._freed[name].wait(timeout=1)  # others' workers count, and tell us nothing

    def release(self, worker: Any) -> None:
        self._release(worker)
        if worker is not None:
            with self._freed[worker.func_name]:
                self._freed[worker.func_name].notify()

    def leased(self, *wanted: Any, **options: Any) -> "_Leased":
        """For socket events: the emulator would share one worker among all connections."""
        return _Leased(self, wanted, options)

    def _limit(self, config: dict[str, Any]) -> int:
        if sum(map(len, list(self._runtime._workers.values()))) >= WORKERS_IN_ALL:
            return 1
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
