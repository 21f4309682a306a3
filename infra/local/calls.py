"""The server of what the functions ask of AWS: a hundred calls for each task."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

BROWSERS = b"access-control-"
NEEDLESS = (b"x-amz-request-id", b"x-amz-id-2")
"""The SDK takes the request's id from x-amzn-requestid."""


class Answer:
    """What is sent to a function: without the half of the headers that is for browsers, and in one
    piece with its body's beginning. To send is the dearest that the emulator does for a call."""

    def __init__(self, send: Any) -> None:
        self._send = send
        self._head: dict[str, Any] | None = None
        self.exchange = send.__self__

    async def __call__(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self._head = message | {"headers": list(filter(_is_needed, message["headers"]))}
        elif self._head:
            head, self._head = self._head, None
            await self._send_at_once(head, message)
        else:
            await self._send(message)

    async def _send_at_once(self, *messages: dict[str, Any]) -> None:
        held = Held(self.exchange.transport)
        self.exchange.transport = held
        try:
            for message in messages:
                await self._send(message)
        finally:
            self.exchange.transport = held.connection
            held.release()


class Held:
    """A connection on which nothing is sent before its release."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self._parts: list[bytes] = []
        self._closes = False

    def write(self, part: bytes) -> None:
        self._parts.append(part)

    def close(self) -> None:
        self._closes = True

    def release(self) -> None:
        """Nothing is held for who is gone, and to a closed connection nothing can be sent."""
        if self._parts:
            self.connection.write(b"".join(self._parts))
        if self._closes:
            self.connection.close()


def _is_needed(header: tuple[bytes, bytes]) -> bool:
    name = header[0].lower()
    return not name.startswith(BROWSERS) and name not in NEEDLESS


class Server(uvicorn.Server):
    """Signals are its host's."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def server_of_calls(application: Any, port: int) -> Server:
    """Serves until `should_exit` is set."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        await application(scope, receive, Answer(send))

    return Server(
        uvicorn.Config(
            answer,
            port=port,
            http="httptools",
            ws="none",
            lifespan="off",
            date_header=False,  # the emulator has its own
            server_header=False,
            proxy_headers=False,
            log_config=None,  # logs are the emulator's
            log_level="warning",
            timeout_graceful_shutdown=2,
            timeout_keep_alive=60,  # a function that waits for a model finds its connection again
        )
    )


def cut(send: Any) -> None:
    """Ends the connection of a call, before anything of an answer: ASGI has no word for it."""
    exchange = send.exchange
    exchange.disconnected = True
    exchange.transport.abort()
