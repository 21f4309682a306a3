"""What every event carries, and how it travels."""

import re
from typing import ClassVar, Self

from pydantic import ConfigDict, Field

from common.clock import new_id, timestamp
from common.models import Model

_NAME = re.compile(r"(?P<detail_type>\w+)V(?P<version>\d+)")


class Event(Model):
    """A fact of the past. A class is one version: `TaskCreatedV1` is detail-type TaskCreated.

    Readers ignore fields they do not know: a newer producer of the same version may add some.
    """

    model_config = ConfigDict(extra="ignore")
    source: ClassVar[str]

    event_id: str = Field(default_factory=new_id)
    version: int = 0
    timestamp: str = Field(default_factory=timestamp)
    user_id: str
    aggregate_id: str
    aggregate_version: int
    correlation_id: str | None = None
    causation_id: str | None = None
    traceparent: str | None = None
    depth: int = Field(default=0, ge=0)

    def model_post_init(self, _context: object) -> None:
        object.__setattr__(self, "version", self.schema_version())

    @classmethod
    def detail_type(cls) -> str:
        return _parts(cls)["detail_type"]

    @classmethod
    def schema_version(cls) -> int:
        return int(_parts(cls)["version"])

    @classmethod
    def pattern(cls) -> dict[str, object]:
        """The EventBridge pattern that matches exactly this version of this event."""
        return {
            "source": [cls.source],
            "detail-type": [cls.detail_type()],
            "detail": {"version": [cls.schema_version()]},
        }

    def caused_by(
        self, cause: "Event | None", correlation: str | None, traceparent: str | None = None
    ) -> Self:
        """The same event, linked to what led to it."""
        links: dict[str, str | int | None] = {
            "correlation_id": self.correlation_id or correlation or self.event_id,
            "traceparent": traceparent or self.traceparent,
        }
        if cause:
            links |= {
                "correlation_id": cause.correlation_id or cause.event_id,
                "causation_id": cause.event_id,
                "traceparent": traceparent or cause.traceparent,
                "depth": cause.depth + 1,
            }
        return self.model_copy(update=links)


def _parts(event: type[Event]) -> dict[str, str]:
    match = _NAME.fullmatch(event.__name__)
    if not match:
        raise TypeError(f"{event.__name__} is not named <DetailType>V<n>")
    return match.groupdict()
