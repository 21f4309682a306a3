"""Time and identity, made in use cases and passed down."""

import math
from datetime import UTC, datetime, time, timedelta
from uuid import uuid4


def timestamp(moment: datetime | None = None) -> str:
    """RFC 3339 UTC with milliseconds, fixed width, so that string order is time order."""
    moment = moment or datetime.now(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def epoch_in(seconds: int) -> int:
    """Unix time `seconds` from now, the unit of DynamoDB's TTL."""
    return int(datetime.now(UTC).timestamp()) + seconds


def midnight() -> datetime:
    """When the day ends, in UTC."""
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    return datetime.combine(tomorrow, time(), UTC)


def seconds_until(moment: datetime) -> int:
    """Rounded up: who waits as long does not come too early."""
    return math.ceil((moment - datetime.now(UTC)).total_seconds())


def milliseconds_since(moment: str) -> float:
    """Of a timestamp."""
    return (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds() * 1000


def new_id() -> str:
    return str(uuid4())


def seconds_between(start: str, end: str) -> int:
    """Of two timestamps, rounded up."""
    return math.ceil((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds())
