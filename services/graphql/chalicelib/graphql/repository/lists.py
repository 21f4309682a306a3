"""Lists of rows: some at a time, of one partition, and only those that are wanted."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from common.cursors import Position
from common.dynamo import Table
from common.rows import Row

T = TypeVar("T")
U = TypeVar("U")
READ_AT_ONCE = 200
_KEYS = ("PK", "SK", "GSI1PK", "GSI1SK")


@dataclass(frozen=True)
class Slice(Generic[T]):
    """Some objects of a list, each with the position to go on from, and whether there are more."""

    items: list[tuple[T, Position]]
    more: bool

    def of(self, convert: Callable[[T], U]) -> "Slice[U]":
        return Slice([(convert(item), position) for item, position in self.items], self.more)


def newest(  # noqa: PLR0913 - which rows, and how many of them
    table: Table,
    partition: str,
    limit: int,
    start: Position | None,
    *,
    prefix: str = "",
    index: str | None = "GSI1",
    wanted: Callable[[Row], bool] | None = None,
) -> Slice[Row]:
    """The last ones first. One row more than asked for is read: that alone tells whether a page is
    the last. Rows that are not wanted are read all the same, many at once."""
    items: list[tuple[Row, Position]] = []
    while True:
        page = table.query(
            partition,
            prefix=prefix,
            index=index,
            limit=READ_AT_ONCE if wanted else limit + 1,
            start=start,
            forward=False,
        )
        found = filter(wanted, page.rows) if wanted else page.rows
        items += [(row, _position(row, index)) for row in found]
        if len(items) > limit:
            return Slice(items[:limit], more=True)
        if page.position is None:
            return Slice(items, more=False)
        start = page.position


def _position(row: Row, index: str | None) -> Position:
    return {key: row[key] for key in (_KEYS if index else _KEYS[:2])}
