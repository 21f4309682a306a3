"""Users, their permissions, and the API keys they call with."""

import hashlib
import hmac
import secrets
import string
import zlib
from datetime import datetime
from typing import Annotated, Literal, NamedTuple

from common.models import Model
from common.principals import ANY, Permission
from common.quotas import DEFAULT_QUOTAS, Quotas
from pydantic import AfterValidator, Field, StringConstraints, field_serializer

_ALPHABET = string.digits + string.ascii_letters
_PREFIX = "rta"

USER_PERMISSIONS = tuple(
    Permission(resource, ("read", "write"))
    for resource in ("agents", "tasks", "events", "credentials")
)
OPERATOR_PERMISSIONS = (Permission(ANY, (ANY,)),)
OPERATOR_QUOTAS = Quotas(
    requests_per_minute=1_000_000,
    agents=100_000,
    active_tasks=100_000,
    sockets=1000,
    tokens_per_day=1_000_000_000,
)


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


class User(Model):
    id: str
    name: str
    permissions: tuple[Permission, ...]
    quotas: Quotas = DEFAULT_QUOTAS
    created_at: str

    @field_serializer("quotas")
    def _quotas(self, quotas: Quotas) -> dict[str, int]:
        return quotas.wire()


class WantedPermission(Model):
    resource: Literal["agents", "tasks", "events", "credentials", "users", "*"]
    actions: list[Literal["read", "write", "*"]] = Field(min_length=1, max_length=3)


class WantedQuotas(Model):
    """What is left out has the default of an ordinary user."""

    requests_per_minute: int = Field(default=DEFAULT_QUOTAS.requests_per_minute, ge=1, le=10**6)
    agents: int = Field(default=DEFAULT_QUOTAS.agents, ge=0, le=10**6)
    active_tasks: int = Field(default=DEFAULT_QUOTAS.active_tasks, ge=0, le=10**6)
    sockets: int = Field(default=DEFAULT_QUOTAS.sockets, ge=0, le=10**6)
    tokens_per_day: int = Field(default=DEFAULT_QUOTAS.tokens_per_day, ge=0, le=10**12)

    def granted(self) -> Quotas:
        return Quotas(**self.model_dump())


class CreateUserRequest(Model):
    """Without `permissions` and `quotas` the user gets those of an ordinary user."""

    name: str = Field(min_length=1, max_length=100, pattern=r"\S")
    permissions: list[WantedPermission] | None = Field(default=None, max_length=50)
    quotas: WantedQuotas = WantedQuotas()

    def granted(self) -> tuple[Permission, ...]:
        if self.permissions is None:
            return USER_PERMISSIONS
        return tuple(Permission(held.resource, tuple(held.actions)) for held in self.permissions)


class CreateApiKeyRequest(Model):
    """`userId` names another user, which needs the permission users:write."""

    name: str = Field(min_length=1, max_length=100, pattern=r"\S")
    user_id: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_-]{1,64}$")
    expires_at: Timestamp | None = None


class ApiKey(Model):
    """What is kept of a key: enough to recognise it, not enough to use it."""

    key_id: str
    user_id: str
    name: str
    created_at: str
    expires_at: str | None = None
    secret_hash: str = Field(exclude=True)

    def opens_with(self, secret: str, now: str) -> bool:
        fits = hmac.compare_digest(self.secret_hash, secret_hash(secret))
        return fits and (self.expires_at is None or now < self.expires_at)


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
    return hashlib.sha256(secret.encode()).hexdigest()


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _checksum(body: str) -> str:
    number, digits = zlib.crc32(body.encode("utf-8", "replace")), ""
    for _ in range(6):
        number, index = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[index] + digits
    return digits
