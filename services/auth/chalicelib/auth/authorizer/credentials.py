"""The one credential that a request carries."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

MAX_LENGTH = 8 * 1024
_CREDENTIAL = re.compile(r"(?P<scheme>Bearer|ApiKey) (?P<text>[\x21-\x7e]+)", re.IGNORECASE)


class Credential(NamedTuple):
    """`scheme` is `bearer` or `apikey`."""

    scheme: str
    text: str


def credential_of(event: Mapping[str, Any]) -> Credential:
    """Raises ValueError unless there is exactly one: which of two was meant is a guess."""
    offered = [*_values(event, "authorization"), *_keys(event)]
    match = _CREDENTIAL.fullmatch(offered[0]) if len(offered) == 1 else None
    if match is None or len(offered[0]) > MAX_LENGTH:
        raise ValueError("not exactly one credential")
    return Credential(match["scheme"].lower(), match["text"])


def _keys(event: Mapping[str, Any]) -> Iterator[str]:
    return (f"ApiKey {key}" for key in _values(event, "x-api-key"))


def _values(event: Mapping[str, Any], name: str) -> list[str]:
    headers = event.get("multiValueHeaders") or {
        key: [value] for key, value in (event.get("headers") or {}).items()
    }
    return [value for key, values in headers.items() if key.lower() == name for value in values]
