"""Real HTTP on the loopback for what is fetched in tests: a service's own routes, and JWK Sets."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.service import Service

Respond = Callable[[str], tuple[int, str]]


@contextmanager
def website(respond: Respond, port: int = 0) -> Iterator[str]:
    """`respond(path)` gives the status and the body of every GET; the base URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = respond(self.path)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


@contextmanager
def serving(service: Service) -> Iterator[str]:
    """The GET routes of a service; one request at a time, for moto's sake."""

    def respond(path: str) -> tuple[int, str]:
        answer = service.request("GET", path)
        return answer.status, answer.text

    with website(respond) as url:
        yield url
