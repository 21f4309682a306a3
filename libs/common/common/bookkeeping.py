"""The rows beside the state: what was handled, what was answered, what is to be announced."""

from common.actions import Put
from common.clock import epoch_in, timestamp
from common.events.base import Event
from common.idempotency import Once

INBOX_KEPT_SECONDS = 7 * 24 * 3600
ONCE_KEPT_SECONDS = 24 * 3600
OUTBOX_SHARDS = 8


def handled(event: Event) -> Put:
    key = {"PK": f"INBOX#{event.event_id}", "SK": "EVENT"}
    return Put(key | {"TTL": epoch_in(INBOX_KEPT_SECONDS)})


def answered(once: Once) -> Put:
    return Put(
        {
            "PK": f"ONCE#{once.key}",
            "SK": "REQUEST",
            "requestHash": once.request_hash,
            "status": once.status,
            "body": once.body,
            "etag": once.etag,
            "TTL": epoch_in(ONCE_KEPT_SECONDS),
        }
    )


def unsent(event: Event) -> Put:
    """The relay deletes it once it is sent; the sweeper finds what stayed by the index."""
    shard = int(event.event_id[-1], 16) % OUTBOX_SHARDS
    return Put(
        {
            "PK": f"OUTBOX#{event.event_id}",
            "SK": "EVENT",
            "GSI1PK": f"OUTBOX#{shard}",
            "GSI1SK": timestamp(),
            "source": event.source,
            "detailType": event.detail_type(),
            "detail": event.model_dump_json(by_alias=True),
            "traceparent": event.traceparent,
        }
    )
