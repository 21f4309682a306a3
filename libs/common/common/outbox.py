"""Events out: the relay from the table's stream to the bus, the only caller of PutEvents."""

import logging
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from chalice.app import Chalice

from common import metrics, tracing
from common.bookkeeping import OUTBOX_SHARDS
from common.clock import timestamp
from common.dynamo import Table
from common.rows import Row
from common.tracing import Kind

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_sqs import SQSClient

log = logging.getLogger(__name__)

MAX_ENTRIES = 10
MAX_BATCH_BYTES = 200 * 1024
OVERDUE = timedelta(seconds=30)
GIVE_UP = timedelta(hours=24)


class Relay:
    """Publishes outbox rows and deletes what the bus accepted. What it did not accept stays: the
    sweep tries again every minute, and after a day hands the row to the dead letters."""

    def __init__(
        self,
        table: Table,
        bus: "EventBridgeClient",
        bus_name: str,
        dead_letters: "SQSClient",
        dead_letters_url: str,
    ) -> None:
        self._table = table
        self._bus = bus
        self._bus_name = bus_name
        self._dead_letters = dead_letters
        self._dead_letters_url = dead_letters_url

    def publish(self, rows: list[Row]) -> int:
        """How many the bus accepted; a poison row must not hold up those behind it."""
        accepted = [row for batch in _batches(rows) for row in self._put(batch)]
        self._table.delete_batch([(row["PK"], row["SK"]) for row in accepted])
        return len(accepted)

    def sweep(self) -> int:
        """Publishes rows that have been waiting for more than 30 s."""
        now = datetime.now(UTC)
        overdue, too_old = timestamp(now - OVERDUE), timestamp(now - GIVE_UP)
        published, oldest = 0, timestamp(now)
        for shard in range(OUTBOX_SHARDS):
            for rows in self._waiting(shard, overdue):
                oldest = min([oldest, *(row["GSI1SK"] for row in rows)])
                published += self.publish([row for row in rows if row["GSI1SK"] >= too_old])
                for row in rows:
                    if row["GSI1SK"] < too_old:
                        self._bury(row)
        age = (now - datetime.fromisoformat(oldest)).total_seconds()
        metrics.measure("OldestOutboxRow", max(age, 0), "Seconds", service=_service())
        return published

    def _waiting(self, shard: int, since: str) -> Iterator[list[Row]]:
        """The shard's rows from before `since`, oldest first, page by page."""
        start = None
        while True:
            page = self._table.query(f"OUTBOX#{shard}", index="GSI1", limit=100, start=start)
            yield [row for row in page.rows if row["GSI1SK"] < since]
            start = page.position
            if not start or page.rows[-1]["GSI1SK"] >= since:
                return

    def _put(self, rows: list[Row]) -> list[Row]:
        started = time.time_ns()
        entries: Any = [
            {
                "EventBusName": self._bus_name,
                "Source": row["source"],
                "DetailType": row["detailType"],
                "Detail": row["detail"],
            }
            for row in rows
        ]
        try:
            answers = self._bus.put_events(Entries=entries)["Entries"]
        except ClientError:
            if len(rows) > 1:  # one of them may be what is refused
                return [row for single in rows for row in self._put([single])]
            log.exception("the bus refused an event", extra={"row": rows[0]["PK"]})
            return []
        except BotoCoreError:
            log.exception("the bus is out of reach", extra={"rows": len(rows)})
            return []
        for row, answer in zip(rows, answers, strict=True):
            if "ErrorCode" in answer:
                log.error("the bus refused an event", extra={"row": row["PK"], "answer": answer})
        accepted = [row for row, answer in zip(rows, answers, strict=True) if "EventId" in answer]
        for row in accepted:
            metrics.count("Published", event=row["detailType"])
            self._trace(row, started)
        return accepted

    def _trace(self, row: Row, started: int) -> None:
        """A batch has events of many traces: each gets a span in its own."""
        about = {
            "messaging.system": "eventbridge",
            "messaging.operation.type": "send",
            "messaging.destination.name": self._bus_name,
            "messaging.message.id": row["PK"].removeprefix("OUTBOX#"),
        }
        with tracing.continued(row.get("traceparent")):
            tracing.begin(f"publish {row['detailType']}", Kind.PRODUCER, about, started).end()

    def _bury(self, row: Row) -> None:
        self._dead_letters.send_message(QueueUrl=self._dead_letters_url, MessageBody=row["detail"])
        self._table.delete(row["PK"], row["SK"])
        log.error("gave up on an event", extra={"row": row["PK"], "detailType": row["detailType"]})


def relay(app: Chalice, relay_of: Callable[[], Relay]) -> Callable[..., Any]:
    """The Lambda `relay_outbox`: fed by the table's stream, and by a timer for the sweep."""

    def relay_outbox(event: dict[str, Any], _context: object) -> dict[str, int]:
        if "Records" not in event:
            return {"swept": relay_of().sweep()}
        images = (record["dynamodb"].get("NewImage", {}) for record in event["Records"])
        rows = [{k: next(iter(v.values())) for k, v in image.items()} for image in images]
        outbox = [row for row in rows if row.get("PK", "").startswith("OUTBOX#")]
        return {"published": relay_of().publish(outbox)}

    return app.lambda_function(name="relay_outbox")(relay_outbox)  # type: ignore[no-any-return]


def _service() -> str:
    return os.environ.get("SERVICE", "unknown")


def _batches(rows: list[Row]) -> Iterator[list[Row]]:
    """At most ten entries and 200 KB: PutEvents takes 256 KB in all."""
    batch: list[Row] = []
    size = 0
    for row in rows:
        length = len(row["detail"].encode()) + 256
        if batch and (len(batch) == MAX_ENTRIES or size + length > MAX_BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += length
    if batch:
        yield batch
