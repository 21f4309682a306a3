"""Whether a deployed platform does its main job, in a minute and through the front door alone.

`python -m infra.smoke` asks the local platform, `--stage staging` a real one: its address is a
parameter, its API key the secret `agentic-<stage>-smoke-key`, and `--model` or SMOKE_MODEL names a
model that does a task. Without a model no task is given.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import httpx

from infra.local.settings import Settings

PATIENCE_SECONDS = 60
LAST = ("completed", "failed", "cancelled")


class Failed(Exception):
    """The platform did not answer as it should."""


def smoke(api: httpx.Client, provider: str, model: str | None) -> Iterator[str]:
    """What works, one after the other. Raises Failed for the first that does not."""
    anonymous = httpx.get(f"{api.base_url}/agents", timeout=30)
    _expect(anonymous, 401)
    yield "nobody gets in without a credential"
    _expect(api.get("/.well-known/jwks.json"), 200)
    _expect(api.get("/auth/me"), 200)
    yield "the key is known"
    with _agent(api, provider, model or "smoke") as agent:
        yield "an agent was created"
        query = {"query": f'{{ agent(id: "{agent}") {{ id }} }}'}
        _until(lambda: _data(api.post("/graphql", json=query)).get("agent"), "GraphQL knows it")
        yield "its event travelled over the bus"
        if model:
            yield from _task(api, agent)


@contextmanager
def _agent(api: httpx.Client, provider: str, model: str) -> Iterator[str]:
    configuration = {"llmProvider": provider, "model": model, "tools": []}
    body = {"name": "smoke", "configuration": configuration}
    agent = _expect(api.post("/agents", json=body), 201).json()["id"]
    try:
        yield agent
    finally:
        api.delete(f"/agents/{agent}")


def _task(api: httpx.Client, agent: str) -> Iterator[str]:
    given = api.post(f"/agents/{agent}/tasks", json={"description": "Say hello."})
    task = _expect(given, 201).json()["id"]
    yield "a task was given"
    path = f"/agents/{agent}/tasks/{task}"
    status = _until(lambda: _ended(_expect(api.get(path), 200).json()), "the task ends")
    if status != "completed":
        raise Failed(f"the task is {status}")
    yield "the task completed"
    updates = _expect(api.get(f"/agents/{agent}/updates?after=0"), 200).json()["items"]
    if not updates:
        raise Failed("no update was stored")
    yield "its updates are there"


def _ended(task: dict[str, Any]) -> str | None:
    return str(task["status"]) if task["status"] in LAST else None


def _data(answer: httpx.Response) -> dict[str, Any]:
    return dict(_expect(answer, 200).json().get("data") or {})


def _expect(answer: httpx.Response, status: int) -> httpx.Response:
    if answer.status_code != status:
        request = answer.request
        raise Failed(f"{request.method} {request.url} answered {answer.status_code}: {answer.text}")
    return answer


def _until(asked: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if answer := asked():
            return answer
        time.sleep(0.5)
    raise Failed(f"{what}: not within {PATIENCE_SECONDS} s")


def _address_and_key(stage: str) -> tuple[str, str]:
    if stage == "local":
        platform = json.loads(Settings.from_environment().platform_file.read_text())
        return platform["baseUrl"], platform["users"][0]["apiKey"]
    parameter = boto3.client("ssm").get_parameter(Name=f"/agentic/{stage}/front-door/base-url")
    secret = boto3.client("secretsmanager").get_secret_value(SecretId=f"agentic-{stage}-smoke-key")
    return parameter["Parameter"]["Value"], secret["SecretString"]


def main() -> int:
    parser = argparse.ArgumentParser(description="Whether a platform does its main job")
    parser.add_argument("--stage", default="local")
    parser.add_argument("--provider", default=os.environ.get("SMOKE_PROVIDER", "openai"))
    parser.add_argument("--model", default=os.environ.get("SMOKE_MODEL"))
    asked = parser.parse_args()
    base, key = _address_and_key(asked.stage)
    model = asked.model or ("simulated" if asked.stage == "local" else None)
    headers = {"Authorization": f"ApiKey {key}"}
    with httpx.Client(base_url=base, headers=headers, timeout=30) as api:
        try:
            for works in smoke(api, asked.provider, model):
                sys.stdout.write(f"✓ {works}\n")
        except (Failed, httpx.HTTPError) as error:
            sys.stdout.write(f"✗ {error}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
