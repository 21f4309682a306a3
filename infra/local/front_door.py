"""One base URL for all services, as CloudFront gives on AWS; the routes are the services' own."""

import json
import re
import uuid
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, NamedTuple

from common.clock import timestamp
from common.errors import envelope
from common.handshakes import PROTOCOL_HEADER

from infra.local.cors import Cors
from infra.local.faults import Faults, read
from infra.local.handshakes import listen
from infra.local.meter import Meter
from infra.local.settings import Settings
from infra.stage import Stage

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]


GATEWAY_ERRORS = {
    401: ("Unauthenticated", "The credentials are missing or not valid"),
    403: ("Forbidden", "This is not allowed"),
    404: ("NotFound", "There is no such path, or not with this method"),
    413: ("TooLarge", "The request is too large"),
    429: ("TooManyRequests", "Too many requests"),
    500: ("InternalError", "Something went wrong"),
    502: ("InternalError", "Something went wrong"),
    504: ("InternalError", "The request took too long"),
}


SOCKET_REFUSALS = {
    400: "Bad Request",
    401: "Unauthorized",
    429: "Too Many Requests",
    500: "Internal server error",
}
"""In API Gateway's words, which no template can change for WebSocket APIs."""

_FAULTS = "/_local/faults/"
_ERROR_TYPE = b"x-amzn-errortype"
_NO_SUCH_ROUTE = b"MissingAuthenticationToken"
_LOCKED_OUT = b"AccessDenied"


class Route(NamedTuple):
    pattern: re.Pattern[str]
    literals: int
    target: str


class FrontDoor:
    def __init__(self, settings: Settings, emulator: Asgi) -> None:
        self._settings = settings
        self._emulator = emulator
        self._meter = Meter(emulator)
        self._faults = Faults(self._meter)
        self._client = Cors(Stage("local").allowed_origins, self._serve)
        self._routes: list[Route] = []
        self._routes_as_of = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_client = scope["type"] != "lifespan" and scope["server"][1] == self._settings.port
        if not is_client:
            await self._faults(scope, receive, send)
        else:
            await self._client(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/_local/meter":
            await _respond(send, 200, self._meter.read_and_restart(scope["query_string"] == b"on"))
        elif scope["path"].startswith(_FAULTS) and scope["type"] == "http":
            rule = scope["method"], scope["path"].removeprefix(_FAULTS), await read(receive)
            await _respond(send, *self._faults.control(*rule))
        elif target := self._target(scope["path"]):
            await self._forward(scope, receive, send, target)
        else:
            await _not_found(scope, receive, send)

    def _target(self, path: str) -> str | None:
        matches = [route for route in self._current_routes() if route.pattern.fullmatch(path)]
        return max(matches, key=lambda route: route.literals).target if matches else None

    def _current_routes(self) -> list[Route]:
        """As of the last deployment, which leaves them in a file."""
        file = self._settings.routes_file
        changed = file.stat().st_mtime if file.exists() else 0.0
        if changed != self._routes_as_of:
            self._routes, self._routes_as_of = _compiled(json.loads(file.read_text())), changed
        return self._routes

    async def _forward(self, scope: Scope, receive: Receive, send: Send, target: str) -> None:
        websocket = scope["type"] == "websocket"
        path = target if websocket else target + scope["path"]
        raw = target.encode() if websocket else target.encode() + scope["raw_path"].split(b"?")[0]
        headers = _from_peer(scope)
        names = [name.lower() for name, _ in headers]
        # Of two the emulator would keep the last one.
        if max(names.count(b"authorization"), names.count(b"x-api-key")) > 1:
            return await (_refuse_socket if websocket else _refuse)(send, 401)
        if b"authorization" not in names:
            headers = [_as_authorization(name, value) for name, value in headers]
        send = _shaking_hands(listen(), send) if websocket else GatewayErrors(send)
        forwarded = {**scope, "path": path, "raw_path": raw, "headers": headers}
        await self._emulator(forwarded, receive, send)


def _from_peer(scope: Scope) -> list[tuple[bytes, bytes]]:
    """The emulator believes X-Forwarded-For, so it must not be the client's own words."""
    headers = [header for header in scope["headers"] if header[0].lower() != b"x-forwarded-for"]
    return [*headers, (b"x-forwarded-for", scope["client"][0].encode())]


def _as_authorization(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    return (b"authorization", b"ApiKey " + value) if name.lower() == b"x-api-key" else (name, value)


def _shaking_hands(answer: Mapping[str, Any], send: Send) -> Send:
    """What the emulator leaves out of what API Gateway does: it answers as `$connect` did, with its
    subprotocol or the status of its refusal, and 401 where the emulator answers 500, which is when
    the authorizer raises, as it does for bad credentials alone."""
    accepted = refused = False

    async def send_handshake(message: MutableMapping[str, Any]) -> None:
        nonlocal accepted, refused
        accepted = accepted or message["type"] == "websocket.accept"
        if message["type"] == "websocket.close" and not accepted:
            status = answer.get("statusCode", 500)
            await _refuse_socket(send, status if status in SOCKET_REFUSALS else 500)
            return
        if message["type"] == "websocket.accept":
            chosen = answer.get("headers", {}).get(PROTOCOL_HEADER)
            message = {**message, "subprotocol": chosen}
        if message["type"] == "websocket.http.response.start" and message["status"] == 500:
            refused = True
            await _refuse_socket(send, 401)
        if not refused:
            await send(message)

    return send_handshake


class GatewayErrors:
    """Renders what API Gateway itself refuses, as the templates do on AWS: the emulator does not
    read gateway responses from the OpenAPI document."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._status: int | None = None

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            kind = {name.lower(): value for name, value in message["headers"]}.get(_ERROR_TYPE)
            if kind is not None:
                self._status = _status_of(kind, message["status"])
                return
        if self._status is None:
            await self._send(message)
        elif not message.get("more_body"):
            await _refuse(self._send, self._status)


def _status_of(kind: bytes, status: int) -> int:
    for prefix, ours in ((_NO_SUCH_ROUTE, 404), (_LOCKED_OUT, 429)):
        if kind.startswith(prefix):
            return ours
    return status


def _compiled(routes: dict[str, str]) -> list[Route]:
    return [
        Route(
            re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))),
            literals=sum(not part.startswith("{") for part in path.split("/")),
            target=target,
        )
        for path, target in routes.items()
    ]


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008})
        return
    await _refuse(send, 404)


async def _refuse(send: Send, status: int) -> None:
    code, message = GATEWAY_ERRORS.get(status, ("BadRequest", "The request was refused"))
    await _respond(send, status, envelope(code, message, None, str(uuid.uuid4()), timestamp()))


async def _refuse_socket(send: Send, status: int) -> None:
    body = {
        "message": SOCKET_REFUSALS[status],
        "connectionId": "none",
        "requestId": str(uuid.uuid4()),
    }
    headers = [(b"content-type", b"application/json")]
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": json.dumps(body).encode()})


async def _respond(send: Send, status: int, body: Mapping[str, object]) -> None:
    headers = [(b"content-type", b"application/json")]
    headers += [(b"retry-after", b"60")] if status == 429 else []
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})
