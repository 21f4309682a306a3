"""Relay's connections, over sealed cursors."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from chalicelib.graphql.limits import DEFAULT_LIMIT, MAX_LIMIT
from chalicelib.graphql.repository.lists import Slice
from common.cursors import Cursors, Position
from common.errors import Invalid

T = TypeVar("T")


@dataclass(frozen=True)
class Edge(Generic[T]):
    cursor: str | None
    node: T


@dataclass(frozen=True)
class PageInfo:
    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


@dataclass(frozen=True)
class Connection(Generic[T]):
    edges: list[Edge[T]]
    page_info: PageInfo

    @property
    def next_token(self) -> str | None:
        return self.page_info.end_cursor if self.page_info.has_next_page else None


@dataclass(frozen=True)
class Paging:
    """What a client asked of one list; `scope` names that list and its reader."""

    cursors: Cursors
    scope: str
    asked: int | None
    next_token: str | None

    @property
    def limit(self) -> int:
        limit = DEFAULT_LIMIT if self.asked is None else self.asked
        if not 1 <= limit <= MAX_LIMIT:
            raise Invalid(f"limit must be a number from 1 to {MAX_LIMIT}", field="limit")
        return limit

    @property
    def start(self) -> Position | None:
        return self.cursors.open(self.next_token, self.scope)

    def connection(self, found: Slice[T]) -> Connection[T]:
        edges = [
            Edge(self.cursors.seal(position, self.scope), node) for node, position in found.items
        ]
        ends = (edges[0].cursor, edges[-1].cursor) if edges else (None, None)
        return Connection(edges, PageInfo(found.more, bool(self.next_token), *ends))
