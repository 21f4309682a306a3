"""Tasks whose execution died outside of our code: the table is the truth, and must say so."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Protocol

from chalicelib.tasks.models import TaskNotFound
from chalicelib.tasks.repository import Store
from chalicelib.tasks.use_cases.execution import handle_error
from common.dynamo import retry_conflicts

LOOKED_BACK = timedelta(minutes=10)
"""It is looked for every minute: one time may fail, and the next ones."""


class Execution(Protocol):
    @property
    def task_id(self) -> str: ...
    @property
    def attempt(self) -> int: ...


class Executions(Protocol):
    def ended_badly(self, within: timedelta) -> Iterable[Execution]: ...


def end_what_broke_off(store: Store, executions: Executions) -> None:
    """Aborted, timed out or failed where no state could catch it: the task has failed."""
    for execution in executions.ended_badly(LOOKED_BACK):
        retry_conflicts(lambda ended=execution: _end(store, ended))  # type: ignore[misc]


def _end(store: Store, execution: Execution) -> None:
    try:
        handle_error(store, execution.task_id, execution.attempt)
    except TaskNotFound:
        return
