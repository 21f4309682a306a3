"""The graphql service with its sockets; the authorizer knows the keys that a test gives out."""

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from chalicelib.graphql.authorizer import Authorizer
from common.principals import Principal

from tests.gateway import Gateway
from tests.service import Service, user


class Authorizing:
    """Answers like the platform's authorizer that was invoked."""

    def __init__(self) -> None:
        self.known: dict[str, Principal] = {"ApiKey good": user()}

    def invoke(self, FunctionName: str, Payload: str) -> dict[str, Any]:
        headers = json.loads(Payload).get("multiValueHeaders") or {}
        principal = self.known.get(headers.get("Authorization", [""])[0])
        if principal is None:
            failure = {"errorMessage": "Unauthorized"}
            return {"FunctionError": "Unhandled", "Payload": _stream(failure)}
        policy = {"Statement": [{"Effect": "Allow"}]}
        context = principal.as_authorizer_context()
        return {"Payload": _stream({"policyDocument": policy, "context": context})}


def _stream(value: object) -> io.BytesIO:
    return io.BytesIO(json.dumps(value).encode())


class Clients:
    """What clients of the sockets say and hear."""

    def __init__(self, service: Service, gateway: Gateway, authorizing: Authorizing) -> None:
        self.service = service
        self.gateway = gateway
        self.authorizing = authorizing

    def opened(self, connection_id: str = "c1", **headers: str) -> dict[str, Any]:
        """What API Gateway is told at the handshake."""
        told = {"Sec-WebSocket-Protocol": "graphql-transport-ws", **headers}
        values = {name.replace("_", "-"): [value] for name, value in told.items() if value}
        return self._socket("$connect", connection_id, multiValueHeaders=values)

    def connect(self, connection_id: str = "c1", key: str = "good") -> str:
        assert self.opened(connection_id)["statusCode"] == 200
        init = {"type": "connection_init", "payload": {"apiKey": key}}
        assert self.say(connection_id, **init) == [{"type": "connection_ack"}]
        return connection_id

    def disconnect(self, connection_id: str) -> None:
        self._socket("$disconnect", connection_id)

    def say(self, connection_id: str, **message: object) -> list[dict[str, Any]]:
        """What is received after sending this."""
        return self.send(connection_id, json.dumps(message))

    def send(self, connection_id: str, text: str) -> list[dict[str, Any]]:
        assert self._socket("$default", connection_id, body=text) == {"statusCode": 200}
        return self.heard(connection_id)

    def heard(self, connection_id: str) -> list[dict[str, Any]]:
        return self.gateway.frames(connection_id)

    def subscribe(
        self, query: str, connection_id: str = "c1", id: str = "s1", **rest: object
    ) -> list[dict[str, Any]]:
        payload = {"query": query, **rest}
        return self.say(connection_id, type="subscribe", id=id, payload=payload)

    def rows(self, prefix: str) -> list[dict[str, Any]]:
        return [row for row in self.service.rows() if str(row["SK"]).startswith(prefix)]

    def _socket(self, route: str, connection_id: str, **event: object) -> Any:
        context = {"routeKey": route, "connectionId": connection_id, "requestId": "r1"}
        context |= {"eventType": "CONNECT"} if route == "$connect" else {}
        return self.service.call("socket", {"requestContext": context, **event})


@pytest.fixture
def clients(service: Callable[[str], Service], monkeypatch: pytest.MonkeyPatch) -> Clients:
    running, gateway, authorizing = service("graphql"), Gateway(), Authorizing()
    authorizer = Authorizer(authorizing, "authorize")  # type: ignore[arg-type]
    monkeypatch.setattr(running.module, "sockets", lambda: gateway.sockets)
    monkeypatch.setattr(running.module, "authorizer", lambda: authorizer)
    monkeypatch.setattr(running.module.messages, "PATIENCE_SECONDS", 0.1)
    return Clients(running, gateway, authorizing)
