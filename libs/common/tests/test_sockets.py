"""Frames to many connections, over a real client and a server that hangs for some."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

import pytest
from common import sockets
from common.sockets import Sockets


class Gateway(ThreadingHTTPServer):
    """Plays API Gateway: connections named `hangs…` take nothing before `release`."""

    daemon_threads = True
    request_queue_size = 200

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Connection)
        self.posted: list[tuple[str, dict[str, Any]]] = []
        self.release = Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Connection(BaseHTTPRequestHandler):
    server: Gateway

    def do_POST(self) -> None:
        connection_id = self.path.rpartition("/")[2]
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if connection_id.startswith("hangs"):
            self.server.release.wait()
        self.server.posted.append((connection_id, json.loads(body)))
        self.send_response(410 if connection_id.startswith("gone") else 200)
        self.send_header("Content-Length", "0")
        if connection_id.startswith("gone"):
            self.send_header("x-amzn-ErrorType", "GoneException")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    gateway = Gateway()
    Thread(target=gateway.serve_forever, daemon=True).start()
    yield gateway
    gateway.release.set()
    gateway.shutdown()
    gateway.server_close()


def test_everybody_gets_the_frame_and_who_did_not_is_told(gateway: Gateway) -> None:
    everybody = [f"c{number}" for number in range(40)]
    lost = Sockets.at(gateway.url).post_to_all(["gone1", *everybody, "gone2"], {"text": "ä"})
    assert lost == ["gone1", "gone2"]
    assert sorted(each for each in gateway.posted if each[0].startswith("c")) == sorted(
        (each, {"text": "ä"}) for each in everybody
    )


def test_nobody_waits_for_a_connection_that_hangs(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "PATIENCE_SECONDS", 0.2)
    everybody = [f"c{number}" for number in range(40)]
    open_sockets = Sockets.at(gateway.url)
    for number in (1, 2):
        assert open_sockets.post_to_all(["hangs", *everybody], {"n": number}) == ["hangs"]
        heard = [each for each, frame in gateway.posted if frame == {"n": number}]
        assert sorted(heard) == sorted(everybody)


def test_nobody_at_all_is_fine(gateway: Gateway) -> None:
    assert Sockets.at(gateway.url).post_to_all([], {}) == []
