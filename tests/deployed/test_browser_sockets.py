"""A socket opened as a browser opens one: it names subprotocols and sets no header."""

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from tests.platform import Platform

pytestmark = pytest.mark.deployed


def test_an_access_token_as_a_subprotocol_opens_a_socket(platform: Platform) -> None:
    with platform.api() as api:
        token = api.post("/auth/token").json()["accessToken"]
    offered = [Subprotocol("agentic.v1"), Subprotocol(f"bearer.{token}")]
    with connect(platform.facts["statusWebSocketUrl"], subprotocols=offered) as socket:
        assert socket.subprotocol == "agentic.v1"
        socket.send('{"action": "ping"}')
        assert "pong" in str(socket.recv(timeout=30))


def test_other_subprotocols_open_none(platform: Platform) -> None:
    key = platform.facts["users"][0]["apiKey"]
    for credential in (f"bearer.{key}", "bearer.e30.e30.e30"):
        with pytest.raises(InvalidStatus) as refused:
            connect(
                platform.facts["statusWebSocketUrl"],
                subprotocols=[Subprotocol("agentic.v1"), Subprotocol(credential)],
            )
        assert refused.value.response.status_code == 401
