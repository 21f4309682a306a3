"""Timeouts that an execution's own data names, which the emulator would ignore."""

from collections.abc import Callable
from typing import Any

Task = Callable[[dict[str, Any], Any, Any, Any], Any]


def read_from_data(execute: Task, resolve: Callable[[str, Any], Any]) -> Task:
    def task(state: dict[str, Any], data: Any, execution: Any, context: Any) -> Any:
        path = state.get("TimeoutSecondsPath")
        if path:
            state = state | {"TimeoutSeconds": resolve(path, data)}
        return execute(state, data, execution, context)

    return task
