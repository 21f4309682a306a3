"""What was revoked, in the form that is published with the public keys."""

import base64
import hashlib
from typing import NamedTuple


class Revocation(NamedTuple):
    """Tokens of a user, API key or session made until then are void; `at` is Unix time."""

    digest: str
    at: int

    @classmethod
    def of(cls, identifier: str, at: int) -> "Revocation":
        return cls(digest_of(identifier), at)


def digest_of(identifier: str) -> str:
    """The list is public, and ids are nobody's business."""
    digest = hashlib.sha256(identifier.encode("utf-8", "replace")).digest()[:16]
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
