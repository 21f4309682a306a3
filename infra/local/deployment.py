"""Deploys the stacks on the emulator with the real CDK CLI, and tells the front door the routes."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import boto3

from infra.local.processes import LocalPlatformError
from infra.local.providers import provider_urls
from infra.local.settings import ASSETS_BUCKET, REGION, ROOT, Settings
from infra.stage import WEBSOCKET_STAGE

CDK = ROOT / "infra/local/node/node_modules/aws-cdk/bin/cdk"


def deploy(settings: Settings, only: str | None = None, cdk: Path = CDK) -> None:
    """All stacks, or the one of `only`. Raises LocalPlatformError; the log says more."""
    node = Path(sys.executable).parent / "node"
    if not node.exists() or not cdk.exists():
        raise LocalPlatformError("Node or the CDK CLI is missing: run `make setup`.")
    client(settings, "s3").create_bucket(Bucket=ASSETS_BUCKET)
    log = settings.directory / "deploy.log"
    command = [str(node), str(cdk), "deploy", "--all", "--require-approval", "never"]
    command += ["--method", "direct", "--concurrency", "8", "--no-notices"]
    command += ["--output", str(settings.directory / "cdk.out"), "--context", "stage=local"]
    command += ["--context", f"only={only}"] if only else []
    with log.open("w") as output:
        done = subprocess.run(
            command, cwd=ROOT, stdout=output, stderr=output, env=_environment(settings), check=False
        )
    if done.returncode:
        raise LocalPlatformError(f"The deployment failed; what the CDK CLI said is in {log}.")
    settings.routes_file.write_text(json.dumps(_routes(settings), indent=1))


def client(settings: Settings, service: Any) -> Any:
    return boto3.client(
        service,
        endpoint_url=settings.aws_url,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def parameters(settings: Settings) -> dict[str, str]:
    """Every SSM parameter of the stage, by its path below `/agentic/local/`."""
    pages = client(settings, "ssm").get_paginator("get_parameters_by_path")
    prefix = "/agentic/local/"
    found: Iterable[dict[str, str]] = (
        parameter
        for page in pages.paginate(Path=prefix, Recursive=True)
        for parameter in page["Parameters"]
    )
    return {parameter["Name"].removeprefix(prefix): parameter["Value"] for parameter in found}


def _routes(settings: Settings) -> dict[str, str]:
    known = parameters(settings)
    routes: dict[str, str] = {}
    for name, value in known.items():
        service, _, what = name.partition("/")
        if what == "routes":
            api = f"/_aws/execute-api/{known[f'{service}/rest-api']}/api"
            routes |= dict.fromkeys(json.loads(value), api)
        elif what == "websocket-api":
            routes[f"/ws/{service}"] = f"/_aws/execute-api/{value}/{WEBSOCKET_STAGE}"
    return routes


def _environment(settings: Settings) -> dict[str, str]:
    binaries = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    return {
        **os.environ,
        **settings.aws_environment,
        "PATH": binaries,
        "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "libs/common"))),
        **provider_urls(settings),
    }
