"""What one write does to rows, as DynamoDB is asked for it, and what it means if a row refuses."""

from dataclasses import dataclass
from typing import Any

from common.errors import AppError, Conflict, QuotaExceeded
from common.quotas import Quota
from common.rows import Row, to_item

ANY = -1
Request = dict[str, Any]
Key = tuple[str, str]


@dataclass(frozen=True)
class Put:
    """Writes a whole row: a new one (`version=None`), or over the version that was read.

    `version=ANY` overwrites whatever is there.
    """

    row: Row
    version: int | None = None

    @property
    def key(self) -> Key:
        return self.row["PK"], self.row["SK"]

    def request(self, table: str) -> Request:
        put: Request = {"TableName": table, "Item": to_item(self.row)}
        if self.version is None:
            put["ConditionExpression"] = "attribute_not_exists(PK)"
        elif self.version != ANY:
            put |= _at(self.version)
        return {"Put": put}

    def refusal(self) -> AppError:
        return _changed()


@dataclass(frozen=True)
class Delete:
    pk: str
    sk: str
    version: int

    @property
    def key(self) -> Key:
        return self.pk, self.sk

    def request(self, table: str) -> Request:
        return {"Delete": {"TableName": table, "Key": _key(self.pk, self.sk), **_at(self.version)}}

    def refusal(self) -> AppError:
        return _changed()


@dataclass(frozen=True)
class Count:
    """Adds to the number `n` of a row, which is 0 before the first time; with a quota, only if it
    stays within it."""

    pk: str
    sk: str
    amount: int
    quota: Quota | None = None

    @property
    def key(self) -> Key:
        return self.pk, self.sk

    def request(self, table: str) -> Request:
        values = {":amount": self.amount}
        update: Request = {
            "TableName": table,
            "Key": _key(self.pk, self.sk),
            "UpdateExpression": "ADD n :amount",
        }
        if self.quota:
            values[":most"] = most = self.quota.limit - self.amount
            # Where there is no room at all, not even for the first, only the second part is true.
            fits = "n <= :most" if most < 0 else "attribute_not_exists(n) OR n <= :most"
            update["ConditionExpression"] = fits
        return {"Update": update | {"ExpressionAttributeValues": to_item(values)}}

    def refusal(self) -> AppError:
        assert self.quota, "without a quota there is nothing to refuse for"
        return QuotaExceeded(self.quota)


Action = Put | Delete | Count


def _changed() -> Conflict:
    return Conflict("The record changed meanwhile; read it again")


def _key(pk: str, sk: str) -> Request:
    return to_item({"PK": pk, "SK": sk})


def _at(version: int) -> Request:
    return {
        "ConditionExpression": "version = :version",
        "ExpressionAttributeValues": to_item({":version": version}),
    }
