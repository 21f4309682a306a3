"""How much one user may have and do; an operator can set other numbers for a user."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import NamedTuple, Self

_NAMES = {
    "requestsPerMinute": "requests_per_minute",
    "agents": "agents",
    "activeTasks": "active_tasks",
    "sockets": "sockets",
    "schedules": "schedules",
    "tokensPerDay": "tokens_per_day",
}


class Quota(NamedTuple):
    """One of the numbers, with its name on the wire."""

    name: str
    limit: int


@dataclass(frozen=True)
class Quotas:
    """The defaults are those of an ordinary user; `tokens_per_day` counts those of models."""

    requests_per_minute: int = 600
    agents: int = 200
    active_tasks: int = 50
    sockets: int = 20
    tokens_per_day: int = 2_000_000
    schedules: int = 100

    @classmethod
    def of(cls, wire: Mapping[str, int]) -> Self:
        """From their names on the wire; what is not named has its default, and what a newer
        service knows beside them is nothing here."""
        return cls(**{_NAMES[name]: value for name, value in wire.items() if name in _NAMES})

    def wire(self) -> dict[str, int]:
        values = asdict(self)
        return {name: values[field] for name, field in _NAMES.items()}

    def quota(self, name: str) -> Quota:
        return Quota(name, self.wire()[name])


DEFAULT_QUOTAS = Quotas()
