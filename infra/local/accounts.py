"""The operator and two ordinary users of the local platform, made through the front door."""

import json
import secrets
import time
from typing import Any

import httpx

from infra.local.deployment import client
from infra.local.processes import LocalPlatformError
from infra.local.providers import PROVIDERS
from infra.local.settings import Settings

Account = dict[str, str]
PROBE_SECONDS = 30
QUOTAS = {
    "requestsPerMinute": 1_000_000,
    "agents": 100_000,
    "activeTasks": 100_000,
    "sockets": 1000,
    "schedules": 100_000,
    "tokensPerDay": 1_000_000_000,
}
"""Tests and benchmarks call as fast as they can."""


def store_provider_keys(settings: Settings) -> None:
    manager = client(settings, "secretsmanager")
    for provider in PROVIDERS:
        manager.put_secret_value(
            SecretId=f"agentic-local-{provider.name}-key",
            SecretString=provider.key or f"simulated-{secrets.token_hex(16)}",
        )


def create_operator(settings: Settings) -> Account:
    """The way an operator does it on AWS: by invoking the function that nobody else may."""
    answer = client(settings, "lambda").invoke(
        FunctionName="agentic-local-create-operator", Payload=json.dumps({"name": "operator"})
    )
    account: Account = json.loads(answer["Payload"].read())
    return account


def create_user(settings: Settings, operator: Account, name: str) -> Account:
    with _api(settings, operator) as api:
        user = _post(api, "/auth/users", {"name": name, "quotas": QUOTAS})
        key = _post(api, "/auth/api-keys", {"name": "local", "userId": user["id"]})
    return {"userId": user["id"], "apiKey": key["apiKey"]}


def probe(settings: Settings, operator: Account) -> None:
    """Healthy means that events flow; this also spares the first user the cold starts."""
    configuration = {"llmProvider": "openai", "model": "none", "tools": []}
    deadline = time.monotonic() + PROBE_SECONDS
    with _api(settings, operator) as api:
        agent = _post(api, "/agents", {"name": "probe", "configuration": configuration})
        paths = [f"/agents/{agent['id']}/tasks", f"/agents/{agent['id']}/status"]
        while any(api.get(path).status_code != 200 for path in paths):
            if time.monotonic() > deadline:
                raise LocalPlatformError("Events do not flow; the services' logs say why.")
        api.delete(f"/agents/{agent['id']}").raise_for_status()


def _api(settings: Settings, account: Account) -> httpx.Client:
    headers = {"Authorization": f"ApiKey {account['apiKey']}"}
    return httpx.Client(base_url=settings.base_url, headers=headers, timeout=30)


def _post(api: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = api.post(path, json=body).raise_for_status().json()
    return answer
