"""A real redis-server of a test's own."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from infra.local.processes import redis_command


@contextmanager
def redis_server(port: int | None = None) -> Iterator[str]:
    """Its URL; it is gone when the block ends."""
    port = port or free_port()
    process = subprocess.Popen(redis_command(port), stdout=subprocess.DEVNULL)
    try:
        _await(port)
        yield f"redis://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _await(port: int, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert time.monotonic() < deadline, "redis-server did not start"
            time.sleep(0.02)
