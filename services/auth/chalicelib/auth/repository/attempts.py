"""How often an address offered credentials that were refused."""

import hashlib

from common.clock import epoch_in
from common.dynamo import Table
from common.rows import Row

WINDOW_SECONDS = 60
FREE_FAILURES = 20
"""In one window; an address with more of them is not even told that the next one is wrong."""


class AttemptRepository:
    """Rows are keyed by a digest: an address says who somebody is."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def is_locked(self, address: str) -> bool:
        row = self._current(address)
        return row is not None and bool(row["failures"] > FREE_FAILURES)

    def add_failures(self, address: str, count: int) -> None:
        """Read, then write: the one consumer may lose a few of a flood, which is a flood anyway."""
        known = self._current(address)
        failures = count + (known["failures"] if known else 0)
        ends = epoch_in(WINDOW_SECONDS)
        self._table.put(self._key(address) | {"failures": failures, "TTL": ends})

    def _current(self, address: str) -> Row | None:
        key = self._key(address)
        row = self._table.get(key["PK"], key["SK"])
        return row if row and row["TTL"] > epoch_in(0) else None

    def _key(self, address: str) -> Row:
        return {"PK": f"ADDRESS#{hashlib.sha256(address.encode()).hexdigest()}", "SK": "FAILURES"}
