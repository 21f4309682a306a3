"""CORS at the local front door, as CloudFront does it."""

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from infra.cors import answer_headers, is_allowed, preflight_headers

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Message, Any, Send], Awaitable[None]]


class Cors:
    """Preflights are answered here; what pages of the allowed origins may read is marked so."""

    def __init__(self, origins: Sequence[str], application: Asgi) -> None:
        self._origins = origins
        self._application = application

    async def __call__(self, scope: Message, receive: Any, send: Send) -> None:
        headers = dict(scope["headers"]) if scope["type"] == "http" else {}
        origin = headers.get(b"origin", b"").decode("latin-1")
        allowed = bool(origin) and is_allowed(origin, self._origins)
        if scope.get("method") == "OPTIONS" and b"access-control-request-method" in headers:
            told = _encoded(preflight_headers(origin)) if allowed else []
            await send({"type": "http.response.start", "status": 204, "headers": told})
            await send({"type": "http.response.body", "body": b""})
            return
        marked = _marking(_encoded(answer_headers(origin)), send) if allowed else send
        await self._application(scope, receive, marked)


def _marking(told: list[tuple[bytes, bytes]], send: Send) -> Send:
    async def send_marked(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *told]}
        await send(message)

    return send_marked


def _encoded(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
