"""Sessions: what a client holds after it exchanged its API key for tokens."""

import base64
import hashlib
import hmac
import secrets
from typing import NamedTuple, Self

from common.models import Model
from pydantic import Field

SESSION_SECONDS = 30 * 24 * 3600
IDLE_SECONDS = 7 * 24 * 3600
GRACE_SECONDS = 30
"""How long the refresh token before the current one still answers: its reply may be lost."""
_PREFIX = "rtr"


class Session(Model):
    """All refresh tokens that came out of one exchange; the current one has this generation.

    Moments are in seconds of Unix time.
    """

    session_id: str
    user_id: str
    key_id: str
    generation: int
    rotated_at: int
    expires_at: int
    revoked: bool = False
    version: int = 1

    @classmethod
    def begin(cls, user_id: str, key_id: str, now: int) -> Self:
        return cls(
            session_id=secrets.token_urlsafe(16),
            user_id=user_id,
            key_id=key_id,
            generation=1,
            rotated_at=now,
            expires_at=now + SESSION_SECONDS,
        )

    def is_usable(self, now: int) -> bool:
        return not self.revoked and now < min(self.expires_at, self.rotated_at + IDLE_SECONDS)

    def answers_again(self, generation: int, now: int) -> bool:
        """Whether this is the immediate predecessor, and its reply may just have been lost."""
        return generation == self.generation - 1 and now <= self.rotated_at + GRACE_SECONDS

    def rotated(self, now: int) -> Self:
        changes = {"generation": self.generation + 1, "rotated_at": now}
        return self.model_copy(update={**changes, "version": self.version + 1})

    def ended(self) -> Self:
        return self.model_copy(update={"revoked": True, "version": self.version + 1})


class RefreshTokens:
    """`rtr_<session>_<generation>_<MAC>`: only the service can make one, and for one generation
    there is only one, so that a reply that was lost can be given again without being stored."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def text(self, session: Session) -> str:
        return self._text(session.session_id, session.generation)

    def read(self, text: str) -> "OfferedToken | None":
        """None unless this service made it, whenever that was."""
        prefix, _, rest = text.partition("_")
        rest, _, _mac = rest.rpartition("_")
        session_id, _, generation = rest.rpartition("_")
        number = int(generation) if generation.isascii() and generation.isdigit() else 0
        genuine = self._text(session_id, number)
        matches = hmac.compare_digest(genuine.encode(), text.encode("utf-8", "replace"))
        return OfferedToken(session_id, number) if prefix == _PREFIX and matches else None

    def _text(self, session_id: str, generation: int) -> str:
        body = f"{_PREFIX}_{session_id}_{generation}"
        mac = hmac.new(self._key, body.encode("utf-8", "replace"), hashlib.sha256).digest()
        return f"{body}_{base64.b32encode(mac).decode().rstrip('=')}"


class OfferedToken(NamedTuple):
    session_id: str
    generation: int


class RefreshRequest(Model):
    refresh_token: str = Field(min_length=1, max_length=8192)


class TokenPair(Model):
    """`expires_in` is in seconds and about the access token."""

    access_token: str
    token_type: str = "Bearer"
    expires_in: int
    refresh_token: str
