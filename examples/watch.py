"""`python -m examples.watch AGENT_ID [AFTER]`: prints an agent's updates as they are pushed, each
once and in order, however often the connection breaks."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

PORT = os.environ.get("PORT", "4500")
FOLDER = Path(__file__).parents[1] / ".local" / ("" if PORT == "4500" else f"port-{PORT}")
HEARTBEAT_SECONDS = 5.0
LONGEST_WAIT_SECONDS = 10.0

Frame = dict[str, Any]


def watch(
    open_socket: Callable[[], ClientConnection], agent_id: str, after: int = 0
) -> Iterator[Frame]:
    """The agent's updates after one, and the gaps that the service can't fill."""
    watcher, wait = Watcher(agent_id, after), 0.1
    while True:
        try:
            with open_socket() as socket:
                for frame in watcher.listen(socket):
                    wait = 0.1
                    yield frame
        except InvalidStatus as refused:
            if refused.response.status_code == 401:
                raise
        except (ConnectionClosed, OSError):
            pass
        time.sleep(wait)
        wait = min(wait * 2, LONGEST_WAIT_SECONDS)


class Watcher:
    """Knows the last update it has, in order, and those that came before their turn."""

    def __init__(self, agent_id: str, after: int) -> None:
        self._agent_id = agent_id
        self._last = after
        self._early: dict[int, Frame] = {}

    def listen(self, socket: ClientConnection) -> Iterator[Frame]:
        """Until the connection ends. Asks again for what is missing at every heartbeat."""
        self._early.clear()
        self._subscribe(socket)
        next_beat = time.monotonic() + HEARTBEAT_SECONDS
        while True:
            try:
                frame = json.loads(socket.recv(timeout=max(0.0, next_beat - time.monotonic())))
            except TimeoutError:
                self._subscribe(socket) if self._early else socket.send('{"action": "ping"}')
                next_beat = time.monotonic() + HEARTBEAT_SECONDS
                continue
            if frame["type"] == "pong" and frame["seqs"].get(self._agent_id, 0) > self._last:
                self._subscribe(socket)
            yield from self._in_order(frame)

    def _subscribe(self, socket: ClientConnection) -> None:
        message = {"action": "subscribe", "agentId": self._agent_id, "after": self._last}
        socket.send(json.dumps(message))

    def _in_order(self, frame: Frame) -> Iterator[Frame]:
        if frame["type"] == "error":
            raise SystemExit(frame["error"]["message"])
        if frame["type"] == "gap" and frame["to"] > self._last:
            self._last = frame["to"]
            yield frame
        if frame["type"] == "update" and frame["seq"] > self._last:
            self._early[frame["seq"]] = frame
        while update := self._early.pop(self._last + 1, None):
            self._last += 1
            yield update


def main() -> None:
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: python -m examples.watch AGENT_ID [AFTER]")
    platform = json.loads((FOLDER / "platform.json").read_text())
    headers = {"Authorization": f"ApiKey {platform['users'][0]['apiKey']}"}
    after = int(sys.argv[2]) if len(sys.argv) == 3 else 0

    def open_socket() -> ClientConnection:
        return connect(platform["statusWebSocketUrl"], additional_headers=headers)

    for frame in watch(open_socket, sys.argv[1], after):
        print(frame, flush=True)  # noqa: T201 - that is what it is for


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
