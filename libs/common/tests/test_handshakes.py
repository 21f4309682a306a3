from typing import Any

import pytest
from common.handshakes import accepted, header_values, offered_tokens


def handshake(*protocols: str, event_type: str = "CONNECT") -> dict[str, Any]:
    headers = {"sec-websocket-protocol": list(protocols)} if protocols else {"host": ["x"]}
    return {"multiValueHeaders": headers, "requestContext": {"eventType": event_type}}


@pytest.mark.parametrize(
    ("protocols", "tokens"),
    [
        ((), []),
        (("agentic.v1",), []),
        (("agentic.v1, bearer.a.b.c",), ["a.b.c"]),
        (("bearer.a.b.c,agentic.v1",), ["a.b.c"]),
        (("agentic.v1", "bearer.a.b.c"), ["a.b.c"]),
        (("bearer.a", "bearer.b, bearer."), ["a", "b", ""]),
        (("Bearer.a", "bearera"), []),
    ],
)
def test_tokens_among_the_subprotocols(protocols: tuple[str, ...], tokens: list[str]) -> None:
    assert offered_tokens(handshake(*protocols)) == tokens


def test_only_a_handshake_offers_tokens() -> None:
    assert offered_tokens(handshake("bearer.a", event_type="MESSAGE")) == []
    assert offered_tokens({"headers": {"Sec-WebSocket-Protocol": "bearer.a"}}) == []


def test_the_first_subprotocol_that_both_speak_is_picked() -> None:
    offered = handshake("c, b", "a")
    assert accepted(offered, "a", "b")["headers"] == {"Sec-WebSocket-Protocol": "b"}
    assert accepted(offered, "d") == {"statusCode": 200}
    assert accepted(handshake(), "a") == {"statusCode": 200}


def test_headers_are_found_in_either_form() -> None:
    assert header_values({"headers": {"A-b": "1"}}, "a-B") == ["1"]
    assert header_values({"headers": {"a": "2"}, "multiValueHeaders": {"A": ["1", "2"]}}, "a") == [
        "1",
        "2",
    ]
    assert header_values({}, "a") == []
