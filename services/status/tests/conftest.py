"""The status service in process, with API Gateway's side of its sockets played by `Gateway`."""

import json
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from common.events.agents import AgentCreatedV1
from common.events.auth import AccessRevokedV1
from common.events.base import Event
from common.events.tasks import TaskProgressV1
from common.principals import Principal

from tests.gateway import Gateway
from tests.service import Service, user

_numbers = count(1)


class Status:
    def __init__(self, service: Service, gateway: Gateway) -> None:
        self.service = service
        self.gateway = gateway

    def connect(self, connection_id: str = "c1", by: Principal | None = None) -> str:
        assert self.opened(connection_id, by or user()) == {"statusCode": 200}
        return connection_id

    def opened(
        self, connection_id: str, by: Principal, headers: dict[str, str] | None = None
    ) -> Any:
        """What API Gateway is told at the handshake."""
        return self._socket("$connect", connection_id, by=by, headers=headers or {})

    def disconnect(self, connection_id: str) -> None:
        self._socket("$disconnect", connection_id)

    def say(self, connection_id: str, body: str) -> list[dict[str, Any]]:
        """What is received after sending this text."""
        answer = self._socket("$default", connection_id, body)
        assert answer == {"statusCode": 200}
        return self.gateway.frames(connection_id)

    def subscribe(self, connection_id: str, agent_id: str, **more: int) -> list[dict[str, Any]]:
        message = {"action": "subscribe", "agentId": agent_id, **more}
        return self.say(connection_id, json.dumps(message))

    def agent(self, owner: str = "ada") -> str:
        """A new agent whose creation was announced."""
        agent_id = f"agent-{next(_numbers)}"
        assert self.service.consume(created(agent_id, owner)) == []
        return agent_id

    def rows(self, prefix: str = "SUB#") -> list[dict[str, Any]]:
        return [row for row in self.service.rows() if str(row["SK"]).startswith(prefix)]

    def _socket(
        self,
        route: str,
        connection_id: str,
        body: str | None = None,
        by: Principal | None = None,
        **event: object,
    ) -> Any:
        context: dict[str, Any] = {
            "routeKey": route,
            "connectionId": connection_id,
            "requestId": "request-1",
        }
        if by:
            context["authorizer"] = by.as_authorizer_context()
        return self.service.call("socket", {"requestContext": context, "body": body, **event})


@pytest.fixture
def status(service: Callable[[str], Service], monkeypatch: pytest.MonkeyPatch) -> Status:
    running, gateway = service("status"), Gateway()
    monkeypatch.setattr(running.module, "sockets", lambda: gateway.sockets)
    monkeypatch.setattr(running.module.updates, "PATIENCE_SECONDS", 0.1)
    return Status(running, gateway)


def created(agent_id: str, owner: str = "ada") -> Event:
    return AgentCreatedV1(
        agent_id=agent_id,
        name="a",
        configuration={"model": "m"},
        user_id=owner,
        aggregate_id=agent_id,
        aggregate_version=1,
    )


def revoked(owner: str, credential_id: str | None = None, session_id: str | None = None) -> Event:
    return AccessRevokedV1(
        credential_id=credential_id,
        session_id=session_id,
        user_id=owner,
        aggregate_id=session_id or credential_id or owner,
        aggregate_version=2,
    )


def progress(agent_id: str, step: int = 1, owner: str = "ada", description: str = "") -> Event:
    return TaskProgressV1(
        task_id="t1",
        agent_id=agent_id,
        current_step=step,
        total_steps=9,
        progress=step / 9,
        step_description=description,
        user_id=owner,
        aggregate_id="t1",
        aggregate_version=step,
    )
