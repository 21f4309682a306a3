"""What a client says when it opens a WebSocket. A browser cannot set the Authorization header, but
it names subprotocols, of which one may carry an access token: `new WebSocket(url, ["agentic.v1",
"bearer." + token])`. Addresses end up in logs; these do not."""

from collections.abc import Mapping
from typing import Any

PROTOCOL_HEADER = "Sec-WebSocket-Protocol"
_TOKEN = "bearer."


def header_values(event: Mapping[str, Any], name: str) -> list[str]:
    """Of a request as API Gateway tells it to functions."""
    headers = event.get("multiValueHeaders") or {
        key: [value] for key, value in (event.get("headers") or {}).items()
    }
    wanted = name.lower()
    return [value for key, values in headers.items() if key.lower() == wanted for value in values]


def names_a_credential(event: Mapping[str, Any]) -> bool:
    headers = header_values(event, "authorization"), header_values(event, "x-api-key")
    return any(headers) or bool(offered_tokens(event))


def offered_tokens(event: Mapping[str, Any]) -> list[str]:
    """The access tokens among the subprotocols; none if this is no handshake."""
    if (event.get("requestContext") or {}).get("eventType") != "CONNECT":
        return []
    return [each.removeprefix(_TOKEN) for each in _offered(event) if each.startswith(_TOKEN)]


def accepted(event: Mapping[str, Any], *spoken: str) -> dict[str, Any]:
    """The answer to `$connect`: with the first subprotocol offered that is spoken here. Browsers
    hang up on a server that picks none of those they offered."""
    chosen = next((each for each in _offered(event) if each in spoken), None)
    return {"statusCode": 200} | ({"headers": {PROTOCOL_HEADER: chosen}} if chosen else {})


def _offered(event: Mapping[str, Any]) -> list[str]:
    values = header_values(event, PROTOCOL_HEADER)
    return [each.strip() for value in values for each in value.split(",")]
