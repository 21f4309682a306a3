"""Lists, a page at a time."""

from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from common.cursors import Position
from common.idempotency import Answer
from common.principals import Principal
from common.queries import Paging
from common.service import cursors

T = TypeVar("T", bound=Answer)
Find = Callable[[int, Position | None], tuple[Sequence[T], Position | None]]
"""At most so many, from a position on, and the position behind them if there are more."""


class Page(NamedTuple, Generic[T]):
    """`next_token` asks for the next one; without it there is none."""

    items: Sequence[T]
    next_token: str | None

    def wire(self) -> dict[str, object]:
        return {"items": [each.wire() for each in self.items], "nextToken": self.next_token}


def page(user: Principal, query: Paging, what: str, find: Find[T]) -> Page[T]:
    """`what` names the list: the `nextToken` of another one, or of another user's, is refused."""
    scope = f"{user.user_id} {what}"
    found, position = find(query.limit, cursors().open(query.next_token, scope))
    return Page(found, cursors().seal(position, scope))
