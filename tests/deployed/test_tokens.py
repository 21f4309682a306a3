"""Tokens on the deployed platform: signed by KMS, accepted by every API, revoked in time."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.platform import Api, Platform, eventually

pytestmark = [pytest.mark.deployed, pytest.mark.e2e]
REVOCATION_SECONDS = 60


@pytest.fixture
def api(platform: Platform) -> Iterator[Api]:
    with platform.api() as api:
        yield api


def session(api: Api) -> dict[str, Any]:
    answer = api.post("/auth/token")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def bearer(pair: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {pair['accessToken']}"}


def refresh(api: Api, token: str) -> httpx.Response:
    return api.post("/auth/token/refresh", json={"refreshToken": token})


def test_a_token_opens_every_api(platform: Platform, api: Api) -> None:
    pair, agent = session(api), api.agent()
    paths = ["/auth/me", "/agents", f"/agents/{agent['id']}/tasks", f"/agents/{agent['id']}/status"]
    for path in (*paths, "/events"):
        assert api.get(path, headers=bearer(pair)).status_code == 200, path
    query = {"query": "{ agents { items { id } } }"}
    assert api.post("/graphql", json=query, headers=bearer(pair)).status_code == 200
    url = platform.facts["statusWebSocketUrl"]
    with connect(url, additional_headers=bearer(pair)) as socket:
        socket.send('{"action": "ping"}')
        assert "pong" in str(socket.recv(timeout=30))


def test_clients_that_refresh_at_once_get_the_same_token(api: Api) -> None:
    token = session(api)["refreshToken"]
    with ThreadPoolExecutor(6) as clients:
        answers = list(clients.map(lambda _: refresh(api, token), range(6)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["refreshToken"] for answer in answers}) == 1


def test_one_refresh_token_cannot_keep_the_signer_busy(api: Api) -> None:
    token = session(api)["refreshToken"]
    answers = [refresh(api, token).status_code for _ in range(25)]
    assert set(answers) == {200, 429}
    assert 15 <= answers.count(200) <= 20


def test_a_stolen_refresh_token_ends_the_session(api: Api) -> None:
    stolen = session(api)["refreshToken"]
    following = refresh(api, refresh(api, stolen).json()["refreshToken"]).json()
    assert refresh(api, stolen).status_code == 401
    assert refresh(api, following["refreshToken"]).status_code == 401


def test_a_revocation_counts_within_a_minute_on_apis_and_sockets(
    platform: Platform, api: Api
) -> None:
    pair, other = session(api), session(api)
    url = platform.facts["statusWebSocketUrl"]
    with (
        connect(url, additional_headers=bearer(pair)) as socket,
        connect(url, additional_headers=bearer(other)) as kept,
    ):
        assert api.get("/agents", headers=bearer(pair)).status_code == 200
        body = {"refreshToken": pair["refreshToken"]}
        assert api.post("/auth/token/revoke", json=body).status_code == 204
        revoked_at = time.monotonic()
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=REVOCATION_SECONDS)
        eventually(
            lambda: api.get("/agents", headers=bearer(pair)).status_code == 401,
            REVOCATION_SECONDS + 10,
            every=2,
        )
        assert time.monotonic() - revoked_at <= REVOCATION_SECONDS
        kept.send('{"action": "ping"}')
        assert "pong" in str(kept.recv(timeout=30))
    assert api.get("/agents", headers=bearer(other)).status_code == 200


def test_tokens_outlive_a_rotation_of_the_signing_key(platform: Platform, api: Api) -> None:
    before, pair = api.get("/.well-known/jwks.json").json()["keys"], session(api)
    name = "agentic-local-rotate-signing-key"
    answer = platform.aws("lambda").invoke(FunctionName=name, Payload="{}")
    assert "FunctionError" not in answer, answer["Payload"].read()
    after = api.get("/.well-known/jwks.json").json()["keys"]
    assert {key["kid"] for key in before} < {key["kid"] for key in after}
    assert api.get("/auth/me", headers=bearer(pair)).status_code == 200
    assert api.get("/auth/me", headers=bearer(session(api))).status_code == 200
