"""Sealed cursors: a client can hand one back, but neither change it nor use another user's."""

import base64
import hashlib
import hmac
import json
from typing import cast

from common.errors import Invalid

Position = dict[str, str]


class Cursors:
    def __init__(self, key: bytes) -> None:
        self._key = key

    def seal(self, position: Position | None, scope: str) -> str | None:
        """`scope` names the user and the query; only the same scope can open the cursor again."""
        if position is None:
            return None
        body = json.dumps(position, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._tag(body, scope) + body).decode()

    def open(self, token: str | None, scope: str) -> Position | None:
        if not token:
            return None
        try:
            sealed = base64.urlsafe_b64decode(token.encode("ascii"))
        except ValueError:
            sealed = b""
        tag, body = sealed[:16], sealed[16:]
        if len(tag) < 16 or not hmac.compare_digest(tag, self._tag(body, scope)):
            raise Invalid("nextToken is not one that this query returned", field="nextToken")
        return cast(Position, json.loads(body))

    def _tag(self, body: bytes, scope: str) -> bytes:
        return hmac.new(self._key, scope.encode() + b"\0" + body, hashlib.sha256).digest()[:16]
