"""`python -m examples.watch AGENT_ID`: prints an agent's updates as they are pushed."""

import json
import os
import sys
from pathlib import Path

from websockets.sync.client import connect

PORT = os.environ.get("PORT", "4500")
FOLDER = Path(__file__).parents[1] / ".local" / ("" if PORT == "4500" else f"port-{PORT}")


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: python -m examples.watch AGENT_ID")
    platform = json.loads((FOLDER / "platform.json").read_text())
    headers = {"Authorization": f"ApiKey {platform['users'][0]['apiKey']}"}
    with connect(platform["statusWebSocketUrl"], additional_headers=headers) as socket:
        socket.send(json.dumps({"action": "subscribe", "agentId": sys.argv[1], "after": 0}))
        for frame in socket:
            print(frame)  # noqa: T201 - that is what it is for


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
