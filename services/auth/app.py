"""The auth service: the authorizer that every API uses, users and API keys."""

import logging
from functools import cache
from typing import Any

from chalice.app import Response
from chalicelib.auth import use_cases
from chalicelib.auth.models import CreateApiKeyRequest, CreateUserRequest
from chalicelib.auth.repository import CredentialRepository
from common.http import ServiceApp
from common.principals import Principal
from common.requests import limit, once, parse, query
from common.service import cursors, table

app = ServiceApp("auth")
log = logging.getLogger(__name__)


@cache
def credentials() -> CredentialRepository:
    return CredentialRepository(table())


@app.lambda_function(name="authorize")
def authorize(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """API Gateway's custom authorizer, for REST (TOKEN) and WebSocket (REQUEST) APIs alike.

    Whatever goes wrong, the answer is 401: API Gateway knows no other way to say it than this
    exact message, and an unexpected failure must not open the door or tell what it was.
    """
    try:
        principal = use_cases.authenticate(credentials(), _header(event))
        stage = "/".join(event["methodArn"].split("/")[:2])
    except Exception as error:
        log.warning("refused", extra={"reason": type(error).__name__})
        raise Exception("Unauthorized") from None
    return {
        "principalId": principal.user_id,
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Action": "execute-api:Invoke",
                    "Effect": "Allow",
                    # Cached per credential, not per route, so it covers the whole stage.
                    "Resource": f"{stage}/*",
                }
            ],
        },
        "context": principal.as_authorizer_context(),
    }


@app.lambda_function(name="create_operator")
def create_operator(event: dict[str, Any], _context: object) -> dict[str, str]:
    """Invoked by an operator with AWS credentials, once per deployment; README.md says how."""
    user, key = use_cases.create_operator(credentials(), event["name"])
    return {"userId": user.id, "apiKey": key}


@app.operation("GET", "/auth/me")
def get_me(user: Principal) -> Response:
    return Response(user.wire())


@app.operation("POST", "/auth/users", "users:write")
def create_user(user: Principal) -> Response:
    request = parse(CreateUserRequest, app.request)
    return Response(
        use_cases.create_user(credentials(), user, request, once(app.request)).wire(),
        status_code=201,
    )


@app.operation("GET", "/auth/users/{user_id}", "users:read")
def get_user(user: Principal, user_id: str) -> Response:
    return Response(credentials().user(user_id).wire())


@app.operation("POST", "/auth/api-keys", "credentials:write")
def create_api_key(user: Principal) -> Response:
    request = parse(CreateApiKeyRequest, app.request)
    key, text = use_cases.create_api_key(credentials(), user, request)
    return Response(key.wire() | {"apiKey": text}, status_code=201)


@app.operation("GET", "/auth/api-keys", "credentials:read")
def list_api_keys(user: Principal) -> Response:
    params = query(app.request, "limit", "nextToken")
    start = cursors().open(params.get("nextToken"), f"{user.user_id} api-keys")
    found, position = credentials().keys_of(user.user_id, limit(params), start)
    token = cursors().seal(position, f"{user.user_id} api-keys")
    return Response({"items": [key.wire() for key in found], "nextToken": token})


@app.operation("DELETE", "/auth/api-keys/{key_id}", "credentials:write")
def delete_api_key(user: Principal, key_id: str) -> Response:
    credentials().remove_key(use_cases.load_owned(credentials(), user, key_id))
    return Response("", status_code=204)


def _header(event: dict[str, Any]) -> str:
    if "authorizationToken" in event:
        return str(event["authorizationToken"])
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    return str(headers.get("authorization", ""))
