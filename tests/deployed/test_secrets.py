"""Secrets are planted where they belong and where careless clients leave them, and then searched
for in everything that the platform writes or says."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.platform import CALCULATOR, Api, Platform

pytestmark = [pytest.mark.deployed, pytest.mark.e2e]

ours = {"source": [{"prefix": "realtime-agentic-api."}]}
STORED_SECRETS = ("openai-key", "cursor-key", "refresh-key")


class Responses:
    """Every answer that the clients of a test got."""

    def __init__(self, *clients: Api) -> None:
        self.texts: list[str] = []
        for client in clients:
            client.event_hooks["response"].append(self._keep)

    def _keep(self, response: Any) -> None:
        response.read()
        self.texts.append(f"{response.headers} {response.text}")


def logs(platform: Platform, since: float) -> Iterator[str]:
    client = platform.aws("logs")
    groups = client.get_paginator("describe_log_groups").paginate()
    for name in groups.search("logGroups[].logGroupName"):
        pages = client.get_paginator("filter_log_events").paginate(
            logGroupName=name, startTime=int(since * 1000)
        )
        yield from (f"{name} {event['message']}" for event in pages.search("events[]") if event)


def rows(platform: Platform) -> Iterator[str]:
    client = platform.aws("dynamodb")
    for name in client.get_paginator("list_tables").paginate().search("TableNames[]"):
        for page in client.get_paginator("scan").paginate(TableName=name):
            yield from (f"{name} {row}" for row in page["Items"])


def histories(platform: Platform, task_id: str) -> Iterator[str]:
    client = platform.aws("stepfunctions")
    arn = platform.execution_arn(f"{task_id}-1")
    pages = client.get_paginator("get_execution_history").paginate(executionArn=arn)
    yield from (json.dumps(event, default=str) for event in pages.search("events[]"))


def settings(platform: Platform) -> Iterator[str]:
    """What can be read of the deployment without being allowed to read secrets."""
    functions = platform.aws("lambda").get_paginator("list_functions").paginate()
    yield from (json.dumps(each, default=str) for each in functions.search("Functions[]"))
    pages = platform.aws("ssm").get_paginator("get_parameters_by_path")
    for page in pages.paginate(Path="/agentic", Recursive=True):
        yield json.dumps(page["Parameters"], default=str)


def planted(platform: Platform, api: Api) -> dict[str, str]:
    """Name and text of every secret there is: the platform's and this test's own."""
    manager = platform.aws("secretsmanager")
    stored = {
        name: manager.get_secret_value(SecretId=f"agentic-local-{name}")["SecretString"]
        for name in STORED_SECRETS
    }
    made = api.created("/auth/api-keys", {"name": "canary"})["apiKey"]
    pair = api.post("/auth/token", headers={"Authorization": f"ApiKey {made}"}).json()
    again = api.post("/auth/token/refresh", json={"refreshToken": pair["refreshToken"]}).json()
    assert all(len(secret) >= 32 for secret in stored.values()), "a generated secret is too short"
    return stored | {
        "api key": made,
        "access token": pair["accessToken"],
        "refresh token": pair["refreshToken"],
        "next access token": again["accessToken"],
        "next refresh token": again["refreshToken"],
    }


def carelessly(platform: Platform, secrets: dict[str, str]) -> None:
    """What clients do with secrets that they should not; the answers are nobody else's to see."""
    key, token = secrets["api key"], secrets["access token"]
    with platform.api() as api:
        api.get(f"/agents/{key}")
        api.get("/agents", params={"nextToken": token})
        api.get("/agents", params={"apiKey": key})
        api.post("/agents", json={"name": "x", "apiKey": key})
        api.post("/auth/token/refresh", json={"refreshToken": key})
        api.post("/auth/token/revoke", json={"refreshToken": token})
        api.post("/graphql", json={"query": "{ agents { items { id } } }", "token": token})
        api.get("/agents", headers={"X-Correlation-Id": key, "Idempotency-Key": token[:200]})
        for wrong in (f"Bearer {key}", f"ApiKey {token}", f"Basic {key}", key, f"{token}x"):
            api.get("/agents", headers={"Authorization": wrong})
    with pytest.raises(InvalidStatus):
        connect(f"{platform.facts['statusWebSocketUrl']}?token={token}")


def with_every_credential(platform: Platform, secrets: dict[str, str]) -> tuple[str, Responses]:
    """A whole task, with the credentials where they belong; its id and all answers."""
    headers = {"Authorization": f"Bearer {secrets['access token']}"}
    with platform.api() as api, platform.api() as by_token:
        by_token.headers.update(headers)
        api.headers["Authorization"] = f"ApiKey {secrets['api key']}"
        responses = Responses(api, by_token)
        agent = by_token.agent(CALCULATOR)
        url = platform.facts["statusWebSocketUrl"]
        with connect(url, additional_headers=headers) as socket:
            socket.send(json.dumps({"action": "subscribe", "agentId": agent["id"], "after": 0}))
            task = api.finished(by_token.task(agent["id"], "What is 6 * 7?"))
            responses.texts.append(str(socket.recv(timeout=30)))
        for path in ("/auth/me", "/auth/api-keys", "/events", "/errors", "/.well-known/jwks.json"):
            assert api.get(path).status_code == 200
        return task["id"], responses


def test_no_secret_is_found_in_anything_that_is_written_or_said(platform: Platform) -> None:
    started = time.time()
    with platform.api() as api, platform.recorder(ours) as recorder:
        secrets = planted(platform, api)
        task_id, responses = with_every_credential(platform, secrets)
        carelessly(platform, secrets)
        time.sleep(1)
        places = {
            "logs": list(logs(platform, started)),
            "tables": list(rows(platform)),
            "events": [json.dumps(event) for event in recorder.seen(lambda _: True)],
            "traces": list(histories(platform, task_id)),
            "responses": responses.texts,
            "settings": list(settings(platform)),
        }
    assert all(places.values()), {place: len(found) for place, found in places.items()}
    assert any(task_id in row for row in places["tables"]), "the search would not find anything"
    assert any("refused" in line for line in places["logs"])
    found = [
        (place, name, text[:300])
        for place, texts in places.items()
        for name, secret in secrets.items()
        for text in texts
        if secret in text
    ]
    assert found == []
