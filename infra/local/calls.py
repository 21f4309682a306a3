"""The server of what the functions ask of AWS: a hundred calls for each task."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn


class Server(uvicorn.Server):
    """Signals are its host's."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def server_of_calls(application: Any, port: int) -> Server:
    """Serves until `should_exit` is set."""
    return Server(
        uvicorn.Config(
            application,
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
    exchange = send.__self__
    exchange.disconnected = True
    exchange.transport.abort()
