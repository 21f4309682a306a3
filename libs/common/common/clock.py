"""Time and identity, made in use cases and passed down."""

from datetime import UTC, datetime
from uuid import uuid4


def timestamp(moment: datetime | None = None) -> str:
    """RFC 3339 UTC with milliseconds, fixed width, so that string order is time order."""
    moment = moment or datetime.now(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def epoch_in(seconds: int) -> int:
    """Unix time `seconds` from now, the unit of DynamoDB's TTL."""
    return int(datetime.now(UTC).timestamp()) + seconds


def new_id() -> str:
    return str(uuid4())
