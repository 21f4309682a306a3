"""Which rows of one partition a query asks for."""

from dataclasses import dataclass
from typing import Any

from common.actions import Key

_LAST = "\uffff"


@dataclass(frozen=True)
class Range:
    """Those whose sort key begins with `prefix`; with `after`, those behind that sort key, up to
    the last one with the prefix."""

    pk: str
    prefix: str = ""
    after: str | None = None

    def condition(self, hash_key: str, range_key: str) -> dict[str, Any]:
        """As DynamoDB is asked for them, by the keys of the table or of an index."""
        expression, values = f"{hash_key} = :pk", {":pk": self.pk}
        if self.after is not None:
            expression += f" AND {range_key} BETWEEN :after AND :end"
            values |= {":after": self.after + "\x00", ":end": self.prefix + _LAST}
        elif self.prefix:
            expression += f" AND begins_with({range_key}, :prefix)"
            values |= {":prefix": self.prefix}
        return {
            "KeyConditionExpression": expression,
            "ExpressionAttributeValues": {name: {"S": value} for name, value in values.items()},
        }

    def holds(self, key: Key) -> bool:
        pk, sk = key
        if pk != self.pk:
            return False
        if self.after is None:
            return sk.startswith(self.prefix)
        return self.after < sk <= self.prefix + _LAST
