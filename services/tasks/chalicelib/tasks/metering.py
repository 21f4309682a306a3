"""Model turns against the daily tokens of the user they are made for."""

from typing import Any

from chalicelib.tasks.models.failures import AgentFailed
from chalicelib.tasks.repository import Store
from chalicelib.tasks.use_cases import usage
from chalicelib.tasks.work import Account
from common import metrics
from strands.hooks import AfterModelCallEvent, BeforeModelCallEvent, HookProvider, HookRegistry


class TokenMeter(HookProvider):
    """Before a turn there must be tokens left; afterwards it is known how many it took. So a turn
    can go beyond the quota, and is the last one."""

    def __init__(self, store: Store, account: Account) -> None:
        self._store = store
        self._account = account

    def register_hooks(self, registry: HookRegistry, **_: Any) -> None:
        registry.add_callback(BeforeModelCallEvent, self._require_tokens)
        registry.add_callback(AfterModelCallEvent, self._spend)

    def _require_tokens(self, event: BeforeModelCallEvent) -> None:
        limit = self._account.tokens_per_day
        if usage.tokens_today(self._store, self._account.user_id) >= limit:
            raise AgentFailed("QUOTA_EXCEEDED", f"The {limit} model tokens of the day are used up")

    def _spend(self, event: AfterModelCallEvent) -> None:
        if event.stop_response:
            told = event.stop_response.message["metadata"]
            used = told["usage"]
            tokens = used["inputTokens"] + used["outputTokens"]
            metrics.measure("ModelLatency", told["metrics"]["latencyMs"], "Milliseconds")
            metrics.count("ModelTokens", used["inputTokens"], kind="input")
            metrics.count("ModelTokens", used["outputTokens"], kind="output")
            account = self._account
            usage.spend_tokens(self._store, account.user_id, account.agent_id, tokens)
