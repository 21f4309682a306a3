"""The keys that access tokens are signed with: made, published, used, retired."""

from typing import Protocol, Self

from common.models import Model
from pydantic import Field

ACCESS_SECONDS = 900
PUBLISHED_FIRST_SECONDS = 60
"""A new key is in the key set for this long before it signs: longer than anybody keeps the set."""


class SigningKey(Model):
    """`kid` is the key's id at the signer. Moments are in seconds of Unix time."""

    kid: str
    jwk: dict[str, str]
    active_from: int
    retires_at: int | None = None


class KeyRing(Model):
    """All keys that a token in use may be signed with."""

    keys: tuple[SigningKey, ...] = ()
    version: int = 0

    def current(self, now: int) -> SigningKey | None:
        """The newest of those that sign."""
        return next((key for key in reversed(self.keys) if key.active_from <= now), None)

    def published(self, now: int) -> tuple[SigningKey, ...]:
        return tuple(key for key in self.keys if key.retires_at is None or now < key.retires_at)

    def active_from(self, now: int) -> int:
        """When a key that is made now may sign: at once if there is none yet."""
        return now + PUBLISHED_FIRST_SECONDS if self.keys else now

    def rotated(self, new: SigningKey, now: int) -> Self:
        """The keys before the new one go when the last token that they signed has expired."""
        end = new.active_from + ACCESS_SECONDS + PUBLISHED_FIRST_SECONDS
        kept = (
            key if key.retires_at else key.model_copy(update={"retires_at": end})
            for key in self.published(now)
        )
        return self.model_copy(update={"keys": (*kept, new), "version": self.version + 1})

    def replaced(self, new: SigningKey) -> Self:
        """Nothing that the keys before it have signed counts any more."""
        return self.model_copy(update={"keys": (new,), "version": self.version + 1})


class KeySet(Model):
    """A JWK Set, with what of the tokens made with its keys is void: RFC 7517 §5 lets it have
    members of our own."""

    keys: tuple[dict[str, str], ...]
    revoked: dict[str, int] = Field(description="Digests, and the first version that counts")


class RotateSigningKeyRequest(Model):
    revoke: bool = False


class Signer(Protocol):
    """Holds private keys and never gives them away."""

    def create(self) -> tuple[str, dict[str, str]]:
        """A new ES256 key: its id and its public JWK."""

    def sign(self, kid: str, message: bytes) -> bytes:
        """The JWS signature: r and s, 32 bytes each."""

    def destroy(self, kid: str) -> None:
        """Soon and for good; tokens signed with the key can be verified as long as it is public."""
