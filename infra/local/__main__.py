"""`python -m infra.local run|up|down|deploy`: what the Makefile's targets of these names do."""

import argparse
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console

from infra.local import accounts, demo
from infra.local.deployment import deploy
from infra.local.processes import LocalPlatformError, Processes
from infra.local.settings import Settings

console = Console(highlight=False)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.local")
    parser.add_argument("command", choices=("run", "up", "down", "deploy"))
    parser.add_argument("part", nargs="?", help="deploy: the one stack to deploy, e.g. agents")
    arguments = parser.parse_args()
    settings = Settings.from_environment()
    commands = {"run": _run, "up": _up, "down": _down}
    try:
        if arguments.command == "deploy":
            return _deploy(settings, arguments.part)
        return commands[arguments.command](settings)
    except LocalPlatformError as error:
        console.print(f"[red]✗[/] {error}")
        return 1


def _run(settings: Settings) -> int:
    """Starts, deploys, does the demonstration, and serves until Ctrl-C (or ends, with ONCE=1)."""
    Processes(settings).refuse_taken_ports()
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    try:
        _start(settings)
        succeeded = demo.main_job(console, settings)
        if os.environ.get("ONCE"):
            return 0 if succeeded else 1
        demo.print_examples(console, settings)
        stopped.wait()
    except KeyboardInterrupt:
        console.print("\nStopping …")
    finally:
        Processes(settings).stop()
    return 0


def _up(settings: Settings) -> int:
    if len(Processes(settings).running()) == 3 and settings.platform_file.exists():
        _refuse_other_iam(settings)
        console.print(f"The platform is running already: {settings.base_url}")
        return 0
    Processes(settings).refuse_taken_ports()
    try:
        _start(settings)
    except BaseException:  # also Ctrl-C: whatever stopped us, nothing is left running
        Processes(settings).stop()
        raise
    return 0


def _refuse_other_iam(settings: Settings) -> None:
    running = json.loads(settings.platform_file.read_text())["iam"]
    if running != settings.iam:
        raise LocalPlatformError(f"A platform with IAM {running} is running: `make down` first.")


def _down(settings: Settings) -> int:
    stopped = Processes(settings).stop()
    settings.platform_file.unlink(missing_ok=True)
    console.print("The platform is stopped." if stopped else "No platform was running.")
    return 0


def _deploy(settings: Settings, part: str | None) -> int:
    if len(Processes(settings).running()) < 3:
        raise LocalPlatformError("No platform is running: start one with `make up`.")
    with _step(f"Deployed {part or 'everything'}"):
        deploy(settings, part)
    return 0


def _start(settings: Settings) -> None:
    settings.platform_file.unlink(missing_ok=True)
    with _step("Redis, the model simulator and the AWS emulator answer"):
        Processes(settings).start()
    with _step("Deployed all stacks with the CDK CLI"):
        deploy(settings)
    with _step("Created an operator and two users"):
        accounts.store_provider_keys(settings)
        platform = _platform(settings)
    with _step("An agent is created, announced and known to the other services"):
        accounts.probe(settings, platform["operator"])
    settings.platform_file.write_text(json.dumps(platform, indent=2) + "\n")


def _platform(settings: Settings) -> dict[str, Any]:
    operator = accounts.create_operator(settings)
    websocket = settings.base_url.replace("http", "ws", 1)
    return {
        "baseUrl": settings.base_url,
        "statusWebSocketUrl": f"{websocket}/ws/status",
        "graphqlUrl": f"{settings.base_url}/graphql",
        "graphqlWebSocketUrl": f"{websocket}/ws/graphql",
        "awsEndpointUrl": settings.aws_url,
        "simulatorUrl": settings.simulator_url,
        "iam": settings.iam,
        "operator": operator,
        "users": [accounts.create_user(settings, operator, name) for name in ("Ada", "Bob")],
    }


@contextmanager
def _step(done: str) -> Iterator[None]:
    started = time.monotonic()
    with console.status(f"{done} …"):
        yield
    console.print(f"[green]✓[/] {done} [dim]{time.monotonic() - started:.1f} s[/]")


if __name__ == "__main__":
    sys.exit(main())
