"""The journal's entries, and how a client narrows them down."""

from collections.abc import Mapping
from typing import Any, Self

from common.events.base import Event
from common.events.catalogue import CATALOGUE
from common.events.tasks import ErrorOccurredV1
from common.models import Id, Model
from common.queries import Paging
from pydantic import Field, field_validator, model_validator

KNOWN_TYPES = frozenset(entry.event.detail_type() for entry in CATALOGUE)


class JournalEntry(Model):
    """One event as it travelled: `detail` is all of it, the other fields are what lists show."""

    user_id: str = Field(exclude=True)
    event_id: str
    type: str
    version: int
    source: str
    timestamp: str
    correlation_id: str | None
    causation_id: str | None
    agent_id: str | None
    task_id: str | None
    detail: dict[str, Any]

    @classmethod
    def of(cls, event: Event) -> Self:
        return cls.told(event.detail_type(), event.source, event.wire())

    @classmethod
    def told(cls, type_: str, source: str, detail: dict[str, Any]) -> Self:
        """All that an entry says is in the event's own words, but for who said it."""
        # An error names what it befell in its context: it may have befallen anything.
        is_error = type_ == ErrorOccurredV1.detail_type()
        subject: Mapping[str, Any] = detail["context"] if is_error else detail
        return cls(
            user_id=detail["userId"],
            event_id=detail["eventId"],
            type=type_,
            version=detail["version"],
            source=source,
            timestamp=detail["timestamp"],
            correlation_id=detail.get("correlationId"),
            causation_id=detail.get("causationId"),
            agent_id=subject.get("agentId"),
            task_id=subject.get("taskId"),
            detail=detail,
        )

    @property
    def is_error(self) -> bool:
        return self.type == ErrorOccurredV1.detail_type()


class EventsQuery(Paging):
    """Of an agent or of a task, not both."""

    agent_id: Id | None = Field(default=None, description="What happened to the agent itself")
    task_id: Id | None = Field(default=None, description="The task's history; not with agentId")
    type: str | None = Field(default=None, json_schema_extra={"enum": [*sorted(KNOWN_TYPES)]})

    @field_validator("type")
    @classmethod
    def _is_in_the_catalogue(cls, value: str) -> str:
        if value not in KNOWN_TYPES:
            raise ValueError(f"must be one of {', '.join(sorted(KNOWN_TYPES))}")
        return value

    @model_validator(mode="after")
    def _asks_one_thing(self) -> Self:
        if self.agent_id and self.task_id:
            raise ValueError("give agentId or taskId, not both")
        return self

    def passes(self, entry: JournalEntry) -> bool:
        return self.type in (None, entry.type)
