"""The server of what the functions ask of AWS: a hundred calls for each task."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

BROWSERS = b"access-control-"
NEEDLESS = (b"x-amz-request-id", b"x-amz-id-2")
"""The SDK takes the request's id from x-amzn-requestid."""


class Answer:
    """What is sent to a function, without the half of the headers that is for browsers."""

    def __init__(self, send: Any) -> None:
        self._send = send
        self.exchange = send.__self__

    async def __call__(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message = message | {"headers": list(filter(_is_needed, message["headers"]))}
        await self._send(message)


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
