"""The server of the functions' calls, as a client on a plain connection meets it."""

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvloop

from infra.local.calls import server_of_calls

HEADERS = [(b"content-length", b"4"), (b"access-control-allow-origin", b"*")]


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["path"] == "/late":
        while (await receive())["type"] != "http.disconnect":
            pass
    chunked = scope["path"] == "/parts"
    headers = [] if chunked else HEADERS
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for part, more in ((b"so", True), (b"me", False)) if chunked else ((b"some", False),):
        await send({"type": "http.response.body", "body": part, "more_body": more})


@pytest.fixture
def connection() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = server_of_calls(application, port)
    thread = threading.Thread(target=lambda: uvloop.run(server.serve()))
    thread.start()
    while not server.started:
        pass
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connected:
        yield connected
    server.should_exit = True
    thread.join()


def asked(connection: socket.socket, path: str, *headers: str) -> None:
    lines = [f"GET {path} HTTP/1.1", "Host: aws", *headers, "", ""]
    connection.sendall("\r\n".join(lines).encode())


def test_an_answer_comes_in_one_piece_and_without_what_browsers_need(
    connection: socket.socket,
) -> None:
    for _ in range(3):
        asked(connection, "/")
        assert connection.recv(10_000) == b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nsome"


def test_an_answer_in_parts_arrives_whole(connection: socket.socket) -> None:
    asked(connection, "/parts", "Connection: close")
    received = b"".join(iter(lambda: connection.recv(10_000), b""))
    assert received.endswith(b"2\r\nso\r\n2\r\nme\r\n0\r\n\r\n")


def test_who_is_gone_before_the_answer_disturbs_nobody(
    connection: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_connection(connection.getpeername(), timeout=10) as gone:
        asked(gone, "/late")
    asked(connection, "/")
    assert connection.recv(10_000).endswith(b"some")
    assert caplog.records == []


def test_who_asks_for_it_is_disconnected_after_the_answer(connection: socket.socket) -> None:
    asked(connection, "/", "Connection: close")
    received = b"".join(iter(lambda: connection.recv(10_000), b""))
    assert received.endswith(b"connection: close\r\n\r\nsome")
