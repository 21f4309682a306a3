"""What was revoked, in the form that is published with the public keys."""

import base64
import hashlib
from typing import NamedTuple

NEVER = 2**31


class Revocation(NamedTuple):
    """Tokens of a session, an API key or a user are void if they were made for an older version
    of the user than `below`. Sessions and keys never come back: no version is young enough."""

    digest: str
    below: int

    @classmethod
    def of(cls, identifier: str, below: int = NEVER) -> "Revocation":
        return cls(digest_of(identifier), below)


def digest_of(identifier: str) -> str:
    """The list is public, and ids are nobody's business."""
    digest = hashlib.sha256(identifier.encode("utf-8", "replace")).digest()[:16]
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
