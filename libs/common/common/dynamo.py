"""A service's table: rows in and out, and the one transaction of state, outbox and inbox."""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError

from common.clock import epoch_in, timestamp
from common.context import correlation_id
from common.errors import Conflict, IdempotencyMismatch
from common.events.base import Event
from common.idempotency import Once, Replayed
from common.rows import Row, to_item, to_row

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

T = TypeVar("T")
INBOX_KEPT_SECONDS = 7 * 24 * 3600
ONCE_KEPT_SECONDS = 24 * 3600
OUTBOX_SHARDS = 8


class AlreadyHandled(Exception):
    """This event's effect is already in the table."""


@dataclass(frozen=True)
class Put:
    """Writes a whole row: a new one (`version=None`), or over the version that was read.

    `version=ANY` overwrites whatever is there.
    """

    row: Row
    version: int | None = None


@dataclass(frozen=True)
class Delete:
    pk: str
    sk: str
    version: int


ANY = -1
Action = Put | Delete


@dataclass(frozen=True)
class Page:
    rows: list[Row]
    position: dict[str, str] | None


class Table:
    """Keys are PK and SK; GSI1PK and GSI1SK index sparse rows. Reads are consistent."""

    def __init__(self, client: "DynamoDBClient", name: str) -> None:
        self._client = client
        self._name = name

    def get(self, pk: str, sk: str) -> Row | None:
        found = self._client.get_item(
            TableName=self._name, Key=to_item({"PK": pk, "SK": sk}), ConsistentRead=True
        )
        return to_row(found["Item"]) if "Item" in found else None

    def query(  # noqa: PLR0913 - the options of one DynamoDB call
        self,
        pk: str,
        *,
        prefix: str = "",
        after: str | None = None,
        index: str | None = None,
        limit: int | None = None,
        start: Mapping[str, str] | None = None,
        forward: bool = True,
    ) -> Page:
        """One page: `prefix` narrows the sort key, `after` starts behind one, `start` resumes."""
        hash_key, range_key = ("GSI1PK", "GSI1SK") if index else ("PK", "SK")
        request: dict[str, Any] = {
            "TableName": self._name,
            "KeyConditionExpression": f"{hash_key} = :pk",
            "ExpressionAttributeValues": {":pk": {"S": pk}},
            "ScanIndexForward": forward,
        }
        if after is not None:
            request["KeyConditionExpression"] += f" AND {range_key} BETWEEN :after AND :end"
            request["ExpressionAttributeValues"] |= {
                ":after": {"S": after + "\x00"},
                ":end": {"S": prefix + "\uffff"},
            }
        elif prefix:
            request["KeyConditionExpression"] += f" AND begins_with({range_key}, :prefix)"
            request["ExpressionAttributeValues"][":prefix"] = {"S": prefix}
        request |= {"IndexName": index} if index else {"ConsistentRead": True}
        request |= {"Limit": limit} if limit else {}
        request |= {"ExclusiveStartKey": to_item(start)} if start else {}
        answer = self._client.query(**request)
        last = answer.get("LastEvaluatedKey")
        return Page([to_row(item) for item in answer["Items"]], to_row(last) if last else None)

    def put(self, row: Row) -> None:
        """An unconditional write of bookkeeping that no event announces."""
        self._client.put_item(TableName=self._name, Item=to_item(row))

    def delete(self, pk: str, sk: str) -> None:
        self._client.delete_item(TableName=self._name, Key=to_item({"PK": pk, "SK": sk}))

    def delete_batch(self, keys: Sequence[tuple[str, str]]) -> None:
        for start in range(0, len(keys), 25):
            requests = [
                {"DeleteRequest": {"Key": to_item({"PK": pk, "SK": sk})}}
                for pk, sk in keys[start : start + 25]
            ]
            left: Any = {self._name: requests}
            while left:
                left = self._client.batch_write_item(RequestItems=left)["UnprocessedItems"]

    def write(
        self,
        *actions: Action,
        events: Sequence[Event] = (),
        cause: Event | None = None,
        once: Once | None = None,
    ) -> None:
        """State, the events it caused and the event that caused it commit together, or not at all.

        Raises AlreadyHandled when `cause` took effect before, Replayed or IdempotencyMismatch when
        `once` was used before, Conflict when a row is not at the version that was read.
        """
        rows = [
            *([Put(_inbox_row(cause))] if cause else []),
            *([Put(_once_row(once))] if once else []),
            *actions,
            *(Put(_outbox_row(event.caused_by(cause, correlation_id.get()))) for event in events),
        ]
        items: Any = [self._action(row) for row in rows]
        try:
            if len(items) == 1:  # half the price of a transaction
                self._write_one(items[0])
            else:
                self._client.transact_write_items(TransactItems=items)
        except self._client.exceptions.ConditionalCheckFailedException as error:
            self._explain(error, ["ConditionalCheckFailed"], cause, once)
        except self._client.exceptions.TransactionCanceledException as error:
            reasons = [str(reason.get("Code")) for reason in error.response["CancellationReasons"]]
            self._explain(error, reasons, cause, once)

    def _write_one(self, item: dict[str, Any]) -> None:
        if "Put" in item:
            self._client.put_item(**item["Put"])
        else:
            self._client.delete_item(**item["Delete"])

    def _action(self, action: Action) -> dict[str, Any]:
        if isinstance(action, Delete):
            key = to_item({"PK": action.pk, "SK": action.sk})
            return {"Delete": {"TableName": self._name, "Key": key, **_at(action.version)}}
        put: dict[str, Any] = {"TableName": self._name, "Item": to_item(action.row)}
        if action.version is None:
            put["ConditionExpression"] = "attribute_not_exists(PK)"
        elif action.version != ANY:
            put |= _at(action.version)
        return {"Put": put}

    def _explain(
        self, error: ClientError, reasons: list[str], cause: Event | None, once: Once | None
    ) -> None:
        failed = [reason == "ConditionalCheckFailed" for reason in reasons]
        if cause and failed[0]:
            raise AlreadyHandled(cause.event_id) from error
        if once and failed[1 if cause else 0]:
            self.replay(once)
        if any(failed) or "TransactionConflict" in reasons:
            raise Conflict("The record changed meanwhile; read it again") from error
        raise error

    def replay(self, once: Once | None) -> None:
        """Raises Replayed or IdempotencyMismatch if `once` was used before. `write` does it too;
        this is for what would be refused before it came to a write."""
        before = self.get(f"ONCE#{once.key}", "REQUEST") if once else None
        if before is None or once is None:
            return
        if before["requestHash"] != once.request_hash:
            raise IdempotencyMismatch("This Idempotency-Key was used for a different request")
        raise Replayed(replace(once, **{name: before[name] for name in ("status", "body", "etag")}))


def retry_conflicts(attempt: Callable[[], T], attempts: int = 10) -> T:
    """Runs a read-decide-write again when another writer was faster, with jitter, ≤ 1 s in all."""
    for number in range(1, attempts):
        try:
            return attempt()
        except Conflict:
            time.sleep(random.uniform(0.002, 0.02 * number))
    return attempt()


def _inbox_row(event: Event) -> Row:
    return {"PK": f"INBOX#{event.event_id}", "SK": "EVENT", "TTL": epoch_in(INBOX_KEPT_SECONDS)}


def _once_row(once: Once) -> Row:
    return {
        "PK": f"ONCE#{once.key}",
        "SK": "REQUEST",
        "requestHash": once.request_hash,
        "status": once.status,
        "body": once.body,
        "etag": once.etag,
        "TTL": epoch_in(ONCE_KEPT_SECONDS),
    }


def _outbox_row(event: Event) -> Row:
    """Present means unsent: the relay deletes it; the sweeper finds what stayed by the index."""
    shard = int(event.event_id[-1], 16) % OUTBOX_SHARDS
    return {
        "PK": f"OUTBOX#{event.event_id}",
        "SK": "EVENT",
        "GSI1PK": f"OUTBOX#{shard}",
        "GSI1SK": timestamp(),
        "source": event.source,
        "detailType": event.detail_type(),
        "detail": event.model_dump_json(by_alias=True),
    }


def _at(version: int) -> dict[str, Any]:
    return {
        "ConditionExpression": "version = :version",
        "ExpressionAttributeValues": {":version": {"N": str(version)}},
    }
