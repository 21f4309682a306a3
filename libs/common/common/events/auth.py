"""What the auth service announces."""

from typing import ClassVar

from common.events.base import Event


class AccessRevokedV1(Event):
    """A user's access ended or changed: that of one session, of one API key, or, when neither is
    named, all of it. Whoever serves a connection that was opened with it should end it."""

    source: ClassVar[str] = "realtime-agentic-api.auth"

    credential_id: str | None = None
    session_id: str | None = None


class UserChangedV1(Event):
    """What a user may do changed: `scope` is all of it, as OAuth writes it. Who acts for a user
    later on, when nobody calls, acts within this."""

    source: ClassVar[str] = "realtime-agentic-api.auth"

    scope: str
    quotas: dict[str, int]
    disabled: bool
