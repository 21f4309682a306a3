"""The AWS emulator and the local front door in one process.

Two ports, one ASGI application: the front door routes clients to the deployed APIs, the other port
is AWS itself. It is served in process because the emulator's own command forks.
"""

import asyncio
import os
import signal
from typing import Any

import uvloop

from infra.local import handshakes, speed, timeouts
from infra.local.calls import server_of_calls
from infra.local.front_door import FrontDoor
from infra.local.scheduler import install
from infra.local.settings import Settings
from infra.local.workers import Workers

EMULATOR_VERSION = "1.5.33"


def main() -> None:
    settings = Settings.from_environment()
    _prepare_environment(settings)
    uvloop.run(_serve(settings))


def _prepare_environment(settings: Settings) -> None:
    state = settings.directory / "emulator"
    folders = {name: state / name for name in ("tmp", "state", "s3")}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    os.environ |= settings.aws_environment | {
        "GATEWAY_PORT": str(settings.aws_port),
        "TMPDIR": str(folders["tmp"]),
        "STATE_DIR": str(folders["state"]),
        "S3_DATA_DIR": str(folders["s3"]),
        "IOT_MTLS_ENABLED": "0",
        "REDIS_HOST": "127.0.0.1",
        "REDIS_PORT": str(settings.redis_port),
        "LOG_LEVEL": "WARNING",
        "LAMBDA_WARM_TTL_SECONDS": "60",
        "AUTH": str(settings.enforces_iam),
    }
    # The workers inherit this environment: they must see the deployed code and nothing else.
    for name in ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "AWS_ENDPOINT_URL"):
        os.environ.pop(name, None)


async def _serve(settings: Settings) -> None:
    """Clients come in through hypercorn, which the emulator's sockets need; the functions' calls,
    a hundred for each task, through the faster server."""
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    application: Any = FrontDoor(settings, _patched_emulator())
    config = Config()
    config.bind = [f"127.0.0.1:{settings.port}"]
    config.graceful_timeout = 2
    speed.collect_seldom()
    calls = server_of_calls(application, settings.aws_port)
    answering = asyncio.create_task(calls.serve())
    await serve(application, config, shutdown_trigger=stop.wait)
    calls.should_exit = True
    await answering
    _remove_workers()


def _patched_emulator() -> Any:
    """Its gaps are closed over private functions: hence the exact version."""
    from importlib.metadata import version

    if version("ministack") != EMULATOR_VERSION:
        raise SystemExit(f"The local platform needs ministack {EMULATOR_VERSION}")
    from ministack import app as emulator
    from ministack.core import iam_actions, iam_evaluator, lambda_runtime, router
    from ministack.services import (
        apigateway,
        dynamodb,
        eventbridge,
        lambda_svc,
        scheduler,
        stepfunctions,
    )

    install(scheduler, eventbridge)
    speed.install(emulator, dynamodb, iam_evaluator, iam_actions, router, lambda_svc)
    workers = Workers(lambda_runtime)
    lambda_svc.acquire_worker = workers.acquire
    lambda_svc.release_worker = workers.release
    lambda_runtime.get_or_create_worker = workers.leased
    apigateway._invoke_ws_lambda = handshakes.overheard(apigateway._invoke_ws_lambda)
    stepfunctions._execute_task = timeouts.read_from_data(
        stepfunctions._execute_task, stepfunctions._resolve_path
    )
    return emulator.app


def _remove_workers() -> None:
    from ministack.core import lambda_runtime

    lambda_runtime.reset()


if __name__ == "__main__":
    main()
