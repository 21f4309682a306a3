"""Connections in the order in which their time ends, so that a sweep reads those whose time is over
and no others."""

from collections.abc import Iterator
from datetime import UTC, datetime

from common.clock import timestamp
from common.dynamo import Table
from common.rows import Row

_ENDS = "ENDS"


def ends(epoch: int) -> Row:
    """What a connection's row has in the index."""
    return {"GSI1PK": _ENDS, "GSI1SK": timestamp(datetime.fromtimestamp(epoch, UTC))}


def overdue(table: Table) -> Iterator[str]:
    """The ids of the connections whose time is over, the longest overdue first."""
    now, position = timestamp(), None
    while True:
        page = table.query(_ENDS, index="GSI1", limit=100, start=position)
        over = [row for row in page.rows if row["GSI1SK"] < now]
        yield from (row["connectionId"] for row in over)
        position = page.position
        if position is None or len(over) < len(page.rows):
            return
