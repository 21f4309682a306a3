"""API keys: their text, which is shown once, and what is kept of them."""

import hashlib
import hmac
import secrets
import string
import zlib
from datetime import datetime
from typing import Annotated, NamedTuple, Self

from common.models import Id, Model, Name
from common.queries import Paging
from pydantic import AfterValidator, Field, StringConstraints

_ALPHABET = string.digits + string.ascii_letters
_PREFIX = "rta"


def _is_a_moment(text: str) -> str:
    datetime.fromisoformat(text)
    return text


Timestamp = Annotated[
    str,
    StringConstraints(
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$"
    ),
    AfterValidator(_is_a_moment),
]


class CreateApiKeyRequest(Model):
    """`userId` names another user, which needs the permission users:write."""

    name: Name
    user_id: Id | None = None
    expires_at: Timestamp | None = None


class ApiKey(Model):
    """What is kept of a key: enough to recognise it, not enough to use it.

    `last_used_at` is right to the minute.
    """

    key_id: str
    user_id: str
    name: str
    created_at: str
    expires_at: str | None = None
    last_used_at: str | None = None
    secret_hash: str = Field(exclude=True)
    version: int = Field(default=1, exclude=True)

    def opens_with(self, secret: str, now: str) -> bool:
        fits = hmac.compare_digest(self.secret_hash, secret_hash(secret))
        return fits and not self.has_expired(now)

    def has_expired(self, now: str) -> bool:
        return self.expires_at is not None and now >= self.expires_at

    @property
    def expiry(self) -> int | None:
        """Seconds of Unix time."""
        return int(datetime.fromisoformat(self.expires_at).timestamp()) if self.expires_at else None

    def used(self, at: str) -> Self:
        return self.model_copy(update={"last_used_at": at, "version": self.version + 1})


class NewApiKey(ApiKey):
    """A key that was just made, with its text, which is shown this once."""

    api_key: str


class KeysQuery(Paging):
    user_id: Id | None = Field(default=None, description="Another user, which needs users:read")


class KeyText(NamedTuple):
    """`rta_<12 id>_<32 secret><6 checksum>`; the checksum rejects typos before any look-up."""

    key_id: str
    secret: str

    @classmethod
    def new(cls) -> "KeyText":
        return cls(_random(12), _random(32))

    @classmethod
    def parse(cls, text: str) -> "KeyText | None":
        prefix, _, rest = text.partition("_")
        key_id, _, tail = rest.partition("_")
        parsed = cls(key_id, tail[:32])
        sound = prefix == _PREFIX and len(key_id) == 12 and len(tail) == 38
        matches = hmac.compare_digest(str(parsed).encode(), text.encode("utf-8", "replace"))
        return parsed if sound and matches else None

    def __str__(self) -> str:
        body = f"{_PREFIX}_{self.key_id}_{self.secret}"
        return body + _checksum(body)


def secret_hash(secret: str) -> str:
    """SHA-256 is enough: the secret is 190 random bits, not a password."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _checksum(body: str) -> str:
    number, digits = zlib.crc32(body.encode("utf-8", "replace")), ""
    for _ in range(6):
        number, index = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[index] + digits
    return digits
