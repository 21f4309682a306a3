"""The authorizer as API Gateway calls it, in front of an auth service in process."""

import importlib
from collections.abc import Mapping
from typing import Any

from common.principals import Principal

from tests.service import Service

API = "arn:aws:execute-api:us-east-1:123456789012:api1234567"


class Door:
    """With an operator, who holds one API key."""

    def __init__(self, auth: Service) -> None:
        self.auth = auth
        operator = auth.call("create_operator", {"name": "root"})
        self.user_id, self.key = operator["userId"], operator["apiKey"]
        self.forget()

    def forget(self) -> None:
        """As a new Lambda container: nothing is cached."""
        importlib.import_module("chalicelib.auth.authorizer.handler")._issuers.cache_clear()

    def asks(self, event: Mapping[str, Any]) -> dict[str, Any]:
        return dict(self.auth.call("authorize", {"methodArn": f"{API}/api/GET/agents"} | event))

    def opens(self, authorization: str, **event: Any) -> dict[str, Any]:
        headers = {"Authorization": [authorization]}
        return self.asks({"multiValueHeaders": headers} | event)

    def refuses(self, event: Mapping[str, Any]) -> bool:
        """Whether it says what API Gateway renders as 401, and nothing else."""
        try:
            self.asks(event)
        except Exception as error:
            return _says_only_unauthorized(error)
        return False

    def refuses_credential(self, authorization: object) -> bool:
        return self.refuses({"multiValueHeaders": {"Authorization": [authorization]}})

    def principal(self, authorization: str) -> Principal:
        return Principal.from_authorizer(self.opens(authorization)["context"])

    def tokens(self, key: str | None = None) -> dict[str, Any]:
        """An API key's access and refresh token."""
        by = self.principal(f"ApiKey {key or self.key}")
        answer = self.auth.request("POST", "/auth/token", by=by)
        assert answer.status == 200, answer
        return dict(answer.body)

    def user(self, **fields: Any) -> tuple[str, str]:
        """A new user's id and API key."""
        by = self.principal(f"ApiKey {self.key}")
        made = self.auth.request("POST", "/auth/users", {"name": "Ada"} | fields, by=by)
        assert made.status == 201, made
        body = {"name": "laptop", "userId": made.body["id"]}
        key = self.auth.request("POST", "/auth/api-keys", body, by=by)
        assert key.status == 201, key
        return made.body["id"], key.body["apiKey"]


def _says_only_unauthorized(error: Exception) -> bool:
    """Anything else becomes a 500 at API Gateway."""
    assert type(error) is Exception, repr(error)
    assert str(error) == "Unauthorized"
    assert error.__suppress_context__
    return True
