"""What could not be delivered, with the reason, and what an operator may ask to have done."""

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Self

from common.clock import timestamp
from common.events.delivery import MAX_RECEIVES
from common.events.tasks import ErrorOccurredV1
from common.models import Id, Model
from common.queries import Paging
from pydantic import Field, model_validator

PLATFORM = "platform"
"""Whose the errors are that belong to no user, or to one that nothing vouches for."""
MAX_BODY_BYTES = 380_000
"""In a row of at most 400 KB. Events are smaller than that, however they are written."""


class LetterStatus(StrEnum):
    DEAD = "dead"
    REDRIVEN = "redriven"


class DeadLetter(Model):
    """`queue` is where it was refused and where a redrive sends it; without one it only tells."""

    id: str
    consumer: str
    queue: str | None
    reason: str
    message: str
    attempts: int
    event: str | None
    event_id: str | None
    died_at: str
    status: LetterStatus = LetterStatus.DEAD
    redriven_at: str | None = None
    body: str
    version: int = Field(default=1, exclude=True)

    @classmethod
    def of(cls, record: Mapping[str, Any], consumer: str) -> Self:
        """An SQS record. Consumers write the reason on it, EventBridge and SQS their own; what
        died without a word was taken out of the queue once too often."""
        body = record["body"]
        kept = body.encode(errors="replace")[:MAX_BODY_BYTES].decode(errors="ignore")
        told = {
            name: attribute.get("stringValue")
            for name, attribute in record.get("messageAttributes", {}).items()
        }
        detail, name = _told_by(body)
        return cls(
            id=record["messageId"],
            consumer=consumer,
            queue=_queue(record, told) if kept == body else None,
            reason=told.get("reason") or told.get("ERROR_CODE") or "ConsumerDied",
            message=told.get("message")
            or told.get("ERROR_MESSAGE")
            or "It was received too often, and nobody said why",
            attempts=int(told.get("attempts") or MAX_RECEIVES),
            event=name,
            event_id=_text(detail.get("eventId")),
            died_at=timestamp(),
            body=kept,
        )

    def redriven(self) -> Self:
        """That it is sent again."""
        return self.model_copy(
            update={
                "status": LetterStatus.REDRIVEN,
                "redriven_at": timestamp(),
                "version": self.version + 1,
            }
        )

    @property
    def error(self) -> ErrorOccurredV1 | None:
        """What is announced of it; of an error's own failure nothing, or it would never end."""
        detail, _ = _told_by(self.body)
        if self.event == ErrorOccurredV1.detail_type():
            return None
        owner = _text(detail.get("userId")) if self.attempts >= MAX_RECEIVES else None
        about = {"consumer": self.consumer, "deadLetterId": self.id}
        named = {name: _text(detail.get(name)) for name in ("agentId", "taskId")}
        return ErrorOccurredV1(
            component=f"{self.consumer}.consumer",
            error_type=self.reason,
            error_message=f"{self.event or 'A message'} could not be delivered",
            context=about | {name: value for name, value in named.items() if value},
            user_id=owner or PLATFORM,
            aggregate_id=self.id,
            aggregate_version=1,
            correlation_id=_text(detail.get("correlationId")),
            causation_id=self.event_id,
        )


class LettersQuery(Paging):
    consumer: Id | None = None
    status: LetterStatus = LetterStatus.DEAD

    def passes(self, letter: DeadLetter) -> bool:
        return self.consumer in (None, letter.consumer)


class RedriveRequest(Model):
    """Which: those of `ids`, those of one consumer, or all."""

    ids: list[Id] | None = Field(default=None, min_length=1, max_length=100)
    consumer: Id | None = None
    all: bool = False

    @model_validator(mode="after")
    def _says_which(self) -> Self:
        if sum([self.ids is not None, self.consumer is not None, self.all]) != 1:
            raise ValueError("give one of ids, consumer and all")
        return self


class Redriven(Model):
    """`skipped` says of each letter that was not sent why not; `more` that there are others."""

    redriven: list[str]
    skipped: dict[str, str]
    more: bool = False


def _told_by(body: str) -> tuple[Mapping[str, Any], str | None]:
    """The event's detail and name, of what may be anything."""
    try:
        envelope = json.loads(body)
    except (ValueError, RecursionError):
        return {}, None
    if not isinstance(envelope, dict):
        return {}, None
    detail = envelope.get("detail")
    return detail if isinstance(detail, dict) else {}, _text(envelope.get("detail-type"))


def _text(value: object) -> str | None:
    return value[:200] if isinstance(value, str) and value else None


def _queue(record: Mapping[str, Any], told: Mapping[str, str | None]) -> str | None:
    source = record.get("attributes", {}).get("DeadLetterQueueSourceArn")
    target = told.get("queue") or source or told.get("TARGET_ARN") or ""
    return target.rpartition(":")[2] or None
