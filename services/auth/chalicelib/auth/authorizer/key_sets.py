"""The public keys of an issuer, as its JWK Set says; the one thing that is fetched."""

import json
import logging
import time
import urllib.request
from collections.abc import Mapping
from typing import Any, NamedTuple

from jwt import PyJWK
from jwt.exceptions import PyJWTError

log = logging.getLogger(__name__)
ALGORITHMS = ("ES256", "ES384", "RS256", "PS256", "EdDSA")
TIMEOUT_SECONDS = 5
MAX_BYTES = 1024 * 1024
UNKNOWN_KEY_SECONDS = 5
"""An unknown key may be new: but whoever invents key ids can't make us ask all the time."""


class OutOfReach(Exception):
    """The issuer does not answer: that says nothing about a token."""


class Document(NamedTuple):
    keys: Mapping[str, PyJWK]
    revoked: Mapping[str, int]


class KeySet:
    """Asked for again once it is older than `fresh` seconds; what is older than `oldest` seconds,
    because its issuer does not answer, counts for nothing: so late can a revocation be at most."""

    def __init__(self, url: str, fresh: float, oldest: float) -> None:
        self._url = url
        self._fresh = fresh
        self._oldest = oldest
        self._document = Document({}, {})
        self._fetched_at = 0.0
        self._tried_at = 0.0

    def including(self, kid: str) -> Document:
        """Raises LookupError for a key that is not in it, OutOfReach if there is none to go by."""
        wanted = self._fresh if kid in self._document.keys else UNKNOWN_KEY_SECONDS
        now = time.time()
        if now - self._fetched_at >= wanted and now - self._tried_at >= 1:
            self._refresh(now)
        if now - self._fetched_at > self._oldest:
            raise OutOfReach
        if kid not in self._document.keys:
            raise LookupError("no such key")
        return self._document

    def _refresh(self, now: float) -> None:
        self._tried_at = now
        try:
            self._document = _document(_fetched(self._url))
            self._fetched_at = now
        except (OSError, ValueError, TypeError, LookupError):
            log.exception("an issuer's keys are out of reach", extra={"url": self._url})


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Keys come from where the operator said, not from where that place says."""

    def redirect_request(self, *_: Any) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirect)


def _fetched(url: str) -> dict[str, Any]:
    with _opener.open(url, timeout=TIMEOUT_SECONDS) as answer:
        document: dict[str, Any] = json.loads(answer.read(MAX_BYTES))
        return document


def _document(text: Mapping[str, Any]) -> Document:
    usable = (_key(jwk) for jwk in text["keys"] if isinstance(jwk, Mapping))
    keys = {str(key.key_id): key for key in usable if key and key.key_id}
    return Document(keys, _revoked(text.get("revoked")))


def _revoked(listed: object) -> Mapping[str, int]:
    """As we write it; what another issuer means by such a member is its own business."""
    if not isinstance(listed, Mapping):
        return {}
    return {str(digest): below for digest, below in listed.items() if type(below) is int}


def _key(jwk: Mapping[str, Any]) -> PyJWK | None:
    """None for what is not a public signing key: an issuer may publish others beside it."""
    try:
        key = PyJWK(dict(jwk))
    except (PyJWTError, ValueError):
        return None
    usable = key.algorithm_name in ALGORITHMS and jwk.get("use", "sig") == "sig"
    return key if usable else None
