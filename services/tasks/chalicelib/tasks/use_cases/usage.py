"""What users have used of their quotas. Days are those of UTC."""

from chalicelib.tasks.models import Task, Usage, Used
from chalicelib.tasks.repository import TaskRepository
from common.clock import midnight, seconds_until, timestamp
from common.errors import QuotaExceeded
from common.idempotency import Once
from common.principals import Principal


def read_usage(tasks: TaskRepository, principal: Principal) -> Usage:
    user_id, quotas = principal.user_id, principal.quotas
    return Usage(
        active_tasks=Used(used=tasks.active_tasks(user_id), limit=quotas.active_tasks),
        tokens_per_day=Used(used=tokens_today(tasks, user_id), limit=quotas.tokens_per_day),
        resets_at=timestamp(midnight()),
    )


def require_tokens(tasks: TaskRepository, principal: Principal, once: Once | None) -> None:
    """Raises QuotaExceeded for what was not asked before: a request that comes again is answered
    as the first time."""
    quota = principal.quotas.quota("tokensPerDay")
    if tokens_today(tasks, principal.user_id) >= quota.limit:
        tasks.replay(once)
        raise QuotaExceeded(quota, retry_after=seconds_until(midnight()))


def has_tokens(tasks: TaskRepository, task: Task) -> bool:
    """Whether the task's owner may have a model called now."""
    return tokens_today(tasks, task.user_id) < task.tokens_per_day


def spend_tokens(tasks: TaskRepository, task: Task, tokens: int) -> None:
    tasks.add_tokens(task.user_id, _today(), tokens)


def tokens_today(tasks: TaskRepository, user_id: str) -> int:
    return tasks.tokens(user_id, _today())


def _today() -> str:
    return timestamp()[: len("2030-01-01")]
