"""moto copies the whole table for each row of a transaction, to be able to take it back: tests that
write much would spend most of their time on that. Here only what is written is copied."""

import copy
from collections import defaultdict
from typing import Any

from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table


def install() -> None:
    if DynamoDBBackend.update_item is not _update_item:
        Table.__deepcopy__ = _with_rows_of_its_own  # type: ignore[attr-defined]
        DynamoDBBackend.update_item = _update_item  # type: ignore[method-assign]


def _with_rows_of_its_own(table: Table, _memo: dict[int, Any]) -> Table:
    """Rows are put and deleted as a whole; the one way to change one in its place is below."""
    backup = copy.copy(table)
    backup.items = defaultdict(dict, {pk: dict(rows) for pk, rows in table.items.items()})
    return backup


_original = DynamoDBBackend.update_item


def _update_item(self: DynamoDBBackend, table_name: str, key: Any, *rest: Any, **more: Any) -> Any:
    rows = self.get_table(table_name).items.get(DynamoType(key["PK"]), {})
    sk = DynamoType(key["SK"])
    if sk in rows:
        rows[sk] = copy.deepcopy(rows[sk])
    return _original(self, table_name, key, *rest, **more)
