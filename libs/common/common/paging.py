"""Lists, a page at a time."""

from collections.abc import Callable, Iterable, Mapping

from chalice.app import Response

from common.cursors import Position
from common.idempotency import Answer
from common.principals import Principal
from common.requests import limit
from common.service import cursors

Find = Callable[[int, Position | None], tuple[Iterable[Answer], Position | None]]
"""At most so many, from a position on, and the position behind them if there are more."""


def page(user: Principal, params: Mapping[str, str], what: str, find: Find) -> Response:
    """`what` names the query: the `nextToken` of another one, or of another user's, is refused."""
    scope = f"{user.user_id} {what}"
    found, position = find(limit(params), cursors().open(params.get("nextToken"), scope))
    items = [each.wire() for each in found]
    return Response({"items": items, "nextToken": cursors().seal(position, scope)})
