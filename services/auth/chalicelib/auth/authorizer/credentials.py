"""The one credential that a request carries."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from common.handshakes import header_values, offered_tokens

MAX_LENGTH = 8 * 1024
_CREDENTIAL = re.compile(r"(?P<scheme>Bearer|ApiKey) (?P<text>[\x21-\x7e]+)", re.IGNORECASE)


class Credential(NamedTuple):
    """`scheme` is `bearer` or `apikey`."""

    scheme: str
    text: str


def credential_of(event: Mapping[str, Any]) -> Credential:
    """Raises ValueError unless there is exactly one: which of two was meant is a guess."""
    offered = [
        *header_values(event, "authorization"),
        *(f"ApiKey {key}" for key in header_values(event, "x-api-key")),
        *(f"Bearer {token}" for token in offered_tokens(event)),
    ]
    match = _CREDENTIAL.fullmatch(offered[0]) if len(offered) == 1 else None
    if match is None or len(offered[0]) > MAX_LENGTH:
        raise ValueError("not exactly one credential")
    return Credential(match["scheme"].lower(), match["text"])
