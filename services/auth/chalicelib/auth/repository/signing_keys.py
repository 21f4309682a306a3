"""The ring of signing keys: one row, so that all of it changes at once."""

from chalicelib.auth.models.signing_keys import KeyRing
from common.dynamo import Put, Table


class KeyRingRepository:
    def __init__(self, table: Table) -> None:
        self._table = table

    def get(self) -> KeyRing:
        row = self._table.get("SIGNING", "KEYS")
        return KeyRing.model_validate_json(row["ring"]) if row else KeyRing()

    def replace(self, before: KeyRing, after: KeyRing) -> None:
        """Raises Conflict unless the ring is stored as `before`."""
        row = {
            "PK": "SIGNING",
            "SK": "KEYS",
            "ring": after.model_dump_json(by_alias=True),
            "version": after.version,
        }
        self._table.write(Put(row, version=before.version or None))
