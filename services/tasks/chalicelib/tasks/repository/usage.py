"""What users have used of their quotas, counted in `USER#<id>`."""

from common.clock import epoch_in
from common.dynamo import Count, Table
from common.quotas import Quota

TOKENS_KEPT_SECONDS = 7 * 24 * 3600


class UsageCounts:
    def __init__(self, table: Table) -> None:
        self._table = table

    def active_tasks(self, user_id: str) -> int:
        return self._table.number(*_active_tasks(user_id))

    def tokens(self, user_id: str, day: str) -> int:
        """The model tokens of a day: one row, for it is read before every turn."""
        return self._table.number(f"USER#{user_id}", f"TOKENS#{day}")

    def tokens_by_agent(self, user_id: str, day: str) -> dict[str, int]:
        page = self._table.query(f"USER#{user_id}", prefix=f"TOKENS#{day}#")
        return {row["SK"].rpartition("#")[2]: int(row["n"]) for row in page.rows}

    def add_tokens(self, user_id: str, agent_id: str, day: str, tokens: int) -> None:
        """Not as one: a transaction would be refused where many tasks of a user are at work."""
        for sk in (f"TOKENS#{day}", f"TOKENS#{day}#{agent_id}"):
            self._table.add(f"USER#{user_id}", sk, tokens, ttl=epoch_in(TOKENS_KEPT_SECONDS))


def one_task_more(user_id: str, quota: Quota) -> Count:
    """Refused if the user has as many active tasks as they may have."""
    return Count(*_active_tasks(user_id), 1, quota)


def one_task_less(user_id: str) -> Count:
    return Count(*_active_tasks(user_id), -1)


def _active_tasks(user_id: str) -> tuple[str, str]:
    return f"USER#{user_id}", "TASKS"
