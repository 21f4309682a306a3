"""Model turns against the daily tokens of the user they are made for."""

from typing import Any

from chalicelib.tasks.models import Task
from chalicelib.tasks.repository import TaskRepository
from chalicelib.tasks.use_cases import usage
from chalicelib.tasks.use_cases.execution import AgentFailed
from strands.hooks import AfterModelCallEvent, BeforeModelCallEvent, HookProvider, HookRegistry


class TokenMeter(HookProvider):
    """Before a turn there must be tokens left; afterwards it is known how many it took. So a turn
    can go beyond the quota, and is the last one."""

    def __init__(self, tasks: TaskRepository, task: Task) -> None:
        self._tasks = tasks
        self._task = task

    def register_hooks(self, registry: HookRegistry, **_: Any) -> None:
        registry.add_callback(BeforeModelCallEvent, self._require_tokens)
        registry.add_callback(AfterModelCallEvent, self._spend)

    def _require_tokens(self, event: BeforeModelCallEvent) -> None:
        if not usage.has_tokens(self._tasks, self._task):
            limit = self._task.tokens_per_day
            raise AgentFailed("QUOTA_EXCEEDED", f"The {limit} model tokens of the day are used up")

    def _spend(self, event: AfterModelCallEvent) -> None:
        if event.stop_response:
            used = event.stop_response.message["metadata"]["usage"]
            tokens = used["inputTokens"] + used["outputTokens"]
            usage.spend_tokens(self._tasks, self._task, tokens)
