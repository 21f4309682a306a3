"""A service's table: rows in and out, and the one transaction of state, outbox and inbox."""

import random
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from common import context, tracing
from common.actions import ANY, Action, Count, Delete, Key, Put
from common.bookkeeping import answered, handled, unsent
from common.errors import AppError, Conflict, IdempotencyMismatch, Unavailable
from common.events.base import Event
from common.idempotency import Once, Replayed
from common.ranges import Range
from common.rows import Row, to_item, to_row
from common.together import Apart, Together

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

__all__ = [
    "ANY",
    "Action",
    "AlreadyHandled",
    "Count",
    "Delete",
    "Page",
    "Put",
    "Table",
    "retry_conflicts",
]
T = TypeVar("T")


class AlreadyHandled(Exception):
    """This event's effect is already in the table."""


@dataclass(frozen=True)
class Page:
    rows: list[Row]
    position: dict[str, str] | None


class Table:
    """Keys are PK and SK; GSI1PK and GSI1SK index sparse rows. Reads are consistent."""

    def __init__(self, client: "DynamoDBClient", name: str) -> None:
        self._client = client
        self._name = name
        self._ahead: dict[Key, Row | None] = {}
        self._together: Together | None = None

    @contextmanager
    def ahead(self, keys: Collection[Key]) -> Iterator[None]:
        """Reads these rows at once, for those that read them one by one: each is answered once with
        what it was, unless `write` changed it here meanwhile. Whoever is refused because another
        was faster reads again."""
        found = {(row["PK"], row["SK"]): row for row in self.get_many(list(keys))}
        self._ahead = {key: found.get(key) for key in keys}
        try:
            yield
        finally:
            self._ahead = {}

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is asked of `write` meanwhile commits at the end as one transaction; `get`,
        `get_many` and `query` of the table know of it already, all else does not.

        Raises Apart if it cannot be one, or if a row refuses: then nothing is written.
        """
        self._together = together = Together()
        try:
            yield
        finally:
            self._together = None
        requests = [action.request(self._name) for action in together.actions.values()]
        if requests and retry_conflicts(lambda: self._commit(requests), on=Unavailable) is not None:
            raise Apart("a row was changed by another meanwhile, or an event was handled before")

    def get(self, pk: str, sk: str) -> Row | None:
        if waiting := self._waiting(lambda key: key == (pk, sk)):
            return waiting[pk, sk]
        if (pk, sk) in self._ahead:
            return self._ahead.pop((pk, sk))
        found = self._client.get_item(
            TableName=self._name, Key=to_item({"PK": pk, "SK": sk}), ConsistentRead=True
        )
        return to_row(found["Item"]) if "Item" in found else None

    def get_many(self, keys: Sequence[Key]) -> list[Row]:
        """Those of the rows that are there, in no particular order; a hundred in one read."""
        waiting = self._waiting(set(keys).__contains__)
        keys = [key for key in keys if key not in waiting]
        rows = list(waiting.values())
        if all(key in self._ahead for key in keys):
            known = [self._ahead.pop(key) for key in keys]
            return rows + [row for row in known if row]
        for start in range(0, len(keys), 100):
            wanted = [to_item({"PK": pk, "SK": sk}) for pk, sk in keys[start : start + 100]]
            left: Any = {self._name: {"Keys": wanted, "ConsistentRead": True}}
            while left:
                answer = self._client.batch_get_item(RequestItems=left)
                rows += map(to_row, answer["Responses"].get(self._name, ()))
                left = answer.get("UnprocessedKeys")
        return rows

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
        """One page: `prefix` narrows the sort key, `start` resumes. With `after`, what comes behind
        that sort key, up to the last one with the prefix."""
        wanted = Range(pk, prefix, after)
        keys = ("GSI1PK", "GSI1SK") if index else ("PK", "SK")
        request: dict[str, Any] = {"TableName": self._name, "ScanIndexForward": forward}
        request |= wanted.condition(*keys)
        request |= {"IndexName": index} if index else {"ConsistentRead": True}
        request |= {"Limit": limit} if limit else {}
        request |= {"ExclusiveStartKey": to_item(start)} if start else {}
        answer = self._client.query(**request)
        last = answer.get("LastEvaluatedKey")
        page = Page([to_row(item) for item in answer["Items"]], to_row(last) if last else None)
        if index:
            return page
        is_part = bool(last or limit or start)
        return self._with_waiting(page, is_part, forward, wanted.holds)

    def _waiting(self, wanted: Callable[[Key], bool]) -> dict[Key, Row]:
        return self._together.waiting(wanted) if self._together else {}

    def _with_waiting(
        self, page: Page, is_part: bool, forward: bool, wanted: Callable[[Key], bool]
    ) -> Page:
        waiting = self._waiting(wanted)
        if not waiting:
            return page
        if is_part:
            raise Apart("what waits may belong to another page")
        rows = {(row["PK"], row["SK"]): row for row in page.rows} | waiting
        return Page([rows[key] for key in sorted(rows, reverse=not forward)], None)

    def put(self, row: Row) -> None:
        """An unconditional write of bookkeeping that no event announces."""
        self._client.put_item(TableName=self._name, Item=to_item(row))

    def put_batch(self, rows: Sequence[Row]) -> None:
        """The same for many rows with different keys, at once but not as one."""
        self._write_batch([{"PutRequest": {"Item": to_item(row)}} for row in rows])

    def number(self, pk: str, sk: str) -> int:
        """What `Count` and `add` made of the row."""
        row = self.get(pk, sk)
        return int(row["n"]) if row else 0

    def add(self, pk: str, sk: str, amount: int, ttl: int) -> int:
        """Counts what has happened already, so that nothing has to be written with it: how much it
        is now. An answer that was lost on its way may make it count twice."""
        answer = self._client.update_item(
            TableName=self._name,
            Key=to_item({"PK": pk, "SK": sk}),
            UpdateExpression="ADD n :amount SET #ttl = :ttl",
            ExpressionAttributeNames={"#ttl": "TTL"},
            ExpressionAttributeValues=to_item({":amount": amount, ":ttl": ttl}),
            ReturnValues="UPDATED_NEW",
        )
        return int(to_row(answer["Attributes"])["n"])

    def touch(self, pk: str, sk: str, **values: Any) -> Row:
        """Gives the row its next version, and these values: whoever is about to write over what
        they read before is refused, and reads again. The row as it is now."""
        names = {f"#{name}": name for name in values}
        assignments = ", ".join(f"#{name} = :{name}" for name in values)
        request: Any = {
            "TableName": self._name,
            "Key": to_item({"PK": pk, "SK": sk}),
            "UpdateExpression": f"ADD version :one{' SET ' if values else ''}{assignments}",
            "ExpressionAttributeValues": to_item(
                {":one": 1, **{f":{name}": value for name, value in values.items()}}
            ),
            "ReturnValues": "ALL_NEW",
        } | ({"ExpressionAttributeNames": names} if names else {})

        def attempt() -> Row:
            try:
                return to_row(self._client.update_item(**request)["Attributes"])
            except self._client.exceptions.TransactionConflictException as error:
                raise Unavailable("Others are writing the same; try again") from error

        return retry_conflicts(attempt, on=Unavailable)

    def delete(self, pk: str, sk: str) -> None:
        self._client.delete_item(TableName=self._name, Key=to_item({"PK": pk, "SK": sk}))

    def delete_batch(self, keys: Sequence[Key]) -> None:
        deleted = [to_item({"PK": pk, "SK": sk}) for pk, sk in keys]
        self._write_batch([{"DeleteRequest": {"Key": key}} for key in deleted])

    def _write_batch(self, requests: Sequence[Any]) -> None:
        for start in range(0, len(requests), 25):
            left: Any = {self._name: requests[start : start + 25]}
            while left:
                left = self._client.batch_write_item(RequestItems=left)["UnprocessedItems"]

    def write(
        self,
        *actions: Action,
        events: Sequence[Event] = (),
        cause: Event | None = None,
        once: Once | None = None,
    ) -> None:
        """State, the events it caused and the event that caused it (by default the request that is
        being carried out) commit together, or not at all.

        Raises AlreadyHandled when `cause` took effect before, Replayed or IdempotencyMismatch when
        `once` was used before, else what the first action that was refused stands for: Conflict
        when a row is not at the version that was read, QuotaExceeded when a count is at its limit.
        """
        cause = cause or context.cause.get()
        actions = (
            *((handled(cause),) if cause else ()),
            *((answered(once),) if once else ()),
            *actions,
            *(unsent(event.caused_by(cause, *_links())) for event in events),
        )
        for action in actions:
            self._ahead.pop(action.key, None)
        if self._together:
            return self._together.add(actions)
        requests = [action.request(self._name) for action in actions]
        refused = retry_conflicts(lambda: self._commit(requests), on=Unavailable)
        if refused is None:
            return
        if cause and refused == 0:
            raise AlreadyHandled(cause.event_id)
        self.replay(once)
        raise actions[refused].refusal()

    def _commit(self, requests: Sequence[Any]) -> int | None:
        """The first request that its row refused, if any. Raises Unavailable when none did, but
        other transactions were at work on the same rows: counters are shared."""
        try:
            self._send(requests)
        except self._client.exceptions.ConditionalCheckFailedException as error:
            return None if _is_our_own(error.response, requests[0]) else 0
        except self._client.exceptions.TransactionCanceledException as error:
            reasons = [reason.get("Code") for reason in error.response["CancellationReasons"]]
            if "ConditionalCheckFailed" in reasons:
                return reasons.index("ConditionalCheckFailed")
            if "TransactionConflict" in reasons:
                raise Unavailable("Others are writing the same; try again") from error
            raise
        return None

    def _send(self, requests: Sequence[Any]) -> None:
        """Alone a row costs half of what it does in a transaction. Only a count that the client
        sends again needs the transaction's token, or it would count twice."""
        alone = requests[0] if len(requests) == 1 else {}
        if "Put" in alone:
            self._client.put_item(**alone["Put"], ReturnValuesOnConditionCheckFailure="ALL_OLD")
        elif "Delete" in alone:
            self._client.delete_item(**alone["Delete"])
        else:
            self._client.transact_write_items(TransactItems=requests)

    def replay(self, once: Once | None) -> None:
        """Raises Replayed or IdempotencyMismatch if `once` was used before. `write` does it too;
        this is for what would be refused before it came to a write."""
        before = self.get(f"ONCE#{once.key}", "REQUEST") if once else None
        if before is None or once is None:
            return
        if before["requestHash"] != once.request_hash:
            raise IdempotencyMismatch("This Idempotency-Key was used for a different request")
        raise Replayed(replace(once, **{name: before[name] for name in ("status", "body", "etag")}))


def _links() -> tuple[str | None, str | None]:
    return context.correlation_id.get(), tracing.traceparent()


def _is_our_own(refusal: Any, request: Any) -> bool:
    """Whether the row that refuses a put is what this put wrote: its answer was lost on its way,
    and the client sent it again."""
    sent_again = refusal["ResponseMetadata"].get("RetryAttempts", 0) > 0
    return bool(sent_again and refusal.get("Item") == request.get("Put", {}).get("Item"))


def retry_conflicts(
    attempt: Callable[[], T], attempts: int = 10, on: type[AppError] = Conflict
) -> T:
    """Runs a read-decide-write again when another writer was faster, with jitter, ≤ 1 s in all.
    A more special refusal was decided after a read, and would be the same again."""
    for number in range(1, attempts):
        try:
            return attempt()
        except on as refused:
            if type(refused) is not on:
                raise
            time.sleep(random.uniform(0.002, 0.02 * number))
    return attempt()
