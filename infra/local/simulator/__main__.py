"""Serves the simulator on the loopback interface until interrupted."""

import argparse
import socket

import uvicorn

from .server import create_app


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m infra.local.simulator", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="0 picks a free one")
    parser.add_argument("--latency-ms", type=float, default=0, help="time before the first byte")
    options = parser.parse_args()
    listener = socket.create_server(("127.0.0.1", options.port), backlog=2048)
    print(f"simulator: http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    config = uvicorn.Config(
        create_app(options.latency_ms),
        log_level="critical",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=1,
    )
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
