"""What users have used of their quotas. Days are those of UTC."""

from chalicelib.tasks.models import AgentUsage, Usage, Used
from chalicelib.tasks.repository import Store
from common.clock import midnight, seconds_until, timestamp
from common.errors import QuotaExceeded
from common.idempotency import Once
from common.principals import Principal


def read_usage(store: Store, principal: Principal) -> Usage:
    user_id, quotas = principal.user_id, principal.quotas
    by_agent = store.usage.tokens_by_agent(user_id, _today())
    used = tokens_today(store, user_id)
    return Usage(
        active_tasks=Used(used=store.usage.active_tasks(user_id), limit=quotas.active_tasks),
        tokens_per_day=Used(used=used, limit=quotas.tokens_per_day),
        agents=[AgentUsage(agent_id=each, tokens=tokens) for each, tokens in by_agent.items()],
        resets_at=timestamp(midnight()),
    )


def require_tokens(store: Store, principal: Principal, once: Once | None) -> None:
    """Raises QuotaExceeded for what was not asked before: a request that comes again is answered
    as the first time."""
    quota = principal.quotas.quota("tokensPerDay")
    if tokens_today(store, principal.user_id) >= quota.limit:
        store.tasks.replay(once)
        raise QuotaExceeded(quota, retry_after=seconds_until(midnight()))


def spend_tokens(store: Store, user_id: str, agent_id: str, tokens: int) -> None:
    if tokens:
        store.usage.add_tokens(user_id, agent_id, _today(), tokens)


def tokens_today(store: Store, user_id: str) -> int:
    return store.usage.tokens(user_id, _today())


def _today() -> str:
    return timestamp()[: len("2030-01-01")]
