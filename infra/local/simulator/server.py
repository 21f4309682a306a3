"""The HTTP surface: both providers' endpoints and the controls."""

import asyncio
import json
import time

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from . import anthropic_wire, openai_wire
from .control import Control, faults
from .exchange import Provider, Reply, Request, Wire, dumps
from .killing import kill_caller
from .meetings import Meetings
from .request_log import RequestLog
from .script import Director

_LONGEST_HANG = 120.0
_JSON = "application/json"
_EVENTS = "text/event-stream"


def create_app(latency_ms: float = 0) -> Starlette:
    director, log = Director(latency_ms), RequestLog()
    openai: Wire = openai_wire
    anthropic: Wire = anthropic_wire
    models = [
        Route("/v1/chat/completions", Endpoint("openai", openai, director, log), methods=["POST"]),
        Route("/v1/messages", Endpoint("anthropic", anthropic, director, log), methods=["POST"]),
    ]
    return Starlette(routes=[*models, *Control(director, log).routes()])


class Endpoint:
    """One provider's endpoint, as a plain ASGI application: it may have to leave an answer open."""

    def __init__(self, provider: Provider, wire: Wire, director: Director, log: RequestLog) -> None:
        self._provider = provider
        self._wire = wire
        self._director = director
        self._log = log
        self._meetings = Meetings()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        http = HttpRequest(scope, receive)
        try:
            raw = await http.body()
        except ClientDisconnect:
            return
        body = _decoded(raw)
        entry = self._log.open(
            model=str(body.get("model", "")) if isinstance(body, dict) else "",
            provider=self._provider,
            path=http.url.path,
            headers=dict(http.headers),
            raw=raw,
        )
        try:
            response = await self._answer(http, body, receive)
            await response(scope, receive, send)
        finally:
            self._log.close(entry, (time.perf_counter() - began) * 1000)

    async def _answer(self, http: HttpRequest, body: object, receive: Receive) -> Response:
        if not self._wire.authorised(dict(http.headers)):
            return self._error(401, "no API key was given")
        if body is None:
            return self._error(400, "the body is not valid JSON")
        try:
            request = self._wire.parse(body)
        except ValidationError as error:
            return self._error(400, faults(error))
        reply = self._director.reply(request)
        if reply.kill and http.client:
            kill_caller(http.client.port, http.scope["server"][1])
            return Response()
        return await self._waited(reply, receive) or self._rendered(request, reply)

    async def _waited(self, reply: Reply, receive: Receive) -> Response | None:
        """What is answered instead, if nothing comes of the waiting."""
        if reply.meeting and not await self._meetings.attend(reply.meeting, _LONGEST_HANG):
            return self._error(504, "the simulated model waited in vain")
        if reply.hang or reply.delay_ms:
            seconds = _LONGEST_HANG if reply.hang else reply.delay_ms / 1000
            if await _client_leaves(receive, seconds):
                return Response()
        return self._error(504, "the simulated model never answered") if reply.hang else None

    def _rendered(self, request: Request, reply: Reply) -> Response:
        if failure := reply.failure:
            response = self._error(failure.status, failure.message, failure.error_type)
            response.headers.update(failure.headers)
            return response
        if request.stream:
            return self._streamed(request, reply)
        if reply.mid_stream_error:
            kind = reply.mid_stream_error
            return self._error(self._wire.status_of(kind), kind, kind)
        payload = dumps(self._wire.message(request, reply))
        if reply.cut:
            return CutResponse(payload[: len(payload) // 2], _JSON, len(payload))
        return Response(payload, media_type=_JSON)

    def _streamed(self, request: Request, reply: Reply) -> Response:
        """In one write: without pauses between them, separate ones would only cost time."""
        opening, content, closing = self._wire.frames(request, reply)
        half = [*opening, *content[: max(1, len(content) // 2)]]
        if reply.mid_stream_error:
            kind = reply.mid_stream_error
            return Response(
                b"".join([*half, self._wire.error_frame(kind, kind)]), media_type=_EVENTS
            )
        if reply.cut:
            return CutResponse(b"".join(half), _EVENTS)
        return Response(b"".join([*opening, *content, *closing]), media_type=_EVENTS)

    def _error(self, status: int, message: str, error_type: str | None = None) -> Response:
        payload = dumps(self._wire.error(status, message, error_type))
        return Response(payload, status, media_type=_JSON)


class CutResponse(Response):
    """Ends before its body does, upon which the server closes the connection."""

    def __init__(self, body: bytes, media_type: str, promised: int | None = None) -> None:
        super().__init__(body, media_type=media_type)
        del self.headers["content-length"]
        if promised is not None:
            self.headers["content-length"] = str(promised)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        await send({"type": "http.response.body", "body": bytes(self.body), "more_body": True})


def _decoded(raw: bytes) -> object:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


async def _client_leaves(receive: Receive, within: float) -> bool:
    try:
        async with asyncio.timeout(within):
            while (await receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return False
    return True
