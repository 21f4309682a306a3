"""The operator and two ordinary users of the local platform, made through the front door."""

import json
from typing import Any

import httpx

from infra.local.deployment import client
from infra.local.providers import PROVIDERS
from infra.local.settings import Settings

Account = dict[str, str]


def store_provider_keys(settings: Settings) -> None:
    secrets = client(settings, "secretsmanager")
    for provider in PROVIDERS:
        secrets.put_secret_value(
            SecretId=f"agentic-local-{provider.name}-key", SecretString=provider.key or "simulated"
        )


def create_operator(settings: Settings) -> Account:
    """The way an operator does it on AWS: by invoking the function that nobody else may."""
    answer = client(settings, "lambda").invoke(
        FunctionName="agentic-local-create-operator", Payload=json.dumps({"name": "operator"})
    )
    account: Account = json.loads(answer["Payload"].read())
    return account


def create_user(settings: Settings, operator: Account, name: str) -> Account:
    headers = {"Authorization": f"ApiKey {operator['apiKey']}"}
    with httpx.Client(base_url=settings.base_url, headers=headers, timeout=30) as api:
        user = _post(api, "/auth/users", {"name": name})
        key = _post(api, "/auth/api-keys", {"name": "local", "userId": user["id"]})
    return {"userId": user["id"], "apiKey": key["apiKey"]}


def _post(api: httpx.Client, path: str, body: dict[str, str]) -> dict[str, Any]:
    answer: dict[str, Any] = api.post(path, json=body).raise_for_status().json()
    return answer
