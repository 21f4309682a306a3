"""The auth service: the authorizer that every API uses, users and API keys."""

import logging
from functools import cache
from typing import Any

from chalice.app import Response
from chalicelib.auth import use_cases
from chalicelib.auth.models import CreateApiKeyRequest, CreateUserRequest
from chalicelib.auth.repository import CredentialRepository
from common.http import (
    ServiceApp,
    authorizer,
    caller,
    limit,
    once,
    parse,
    path_id,
    query,
)
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


@app.route("/auth/me", methods=["GET"], authorizer=authorizer)
def get_me() -> Response:
    return Response(caller(app.request).wire())


@app.route("/auth/users", methods=["POST"], authorizer=authorizer)
def create_user() -> Response:
    caller(app.request).require("users", "write")
    request = parse(CreateUserRequest, app.request)
    return Response(
        use_cases.create_user(credentials(), request, once(app.request)).wire(), status_code=201
    )


@app.route("/auth/users/{user_id}", methods=["GET"], authorizer=authorizer)
def get_user(user_id: str) -> Response:
    caller(app.request).require("users", "read")
    return Response(credentials().user(path_id(user_id)).wire())


@app.route("/auth/api-keys", methods=["POST"], authorizer=authorizer)
def create_api_key() -> Response:
    user = caller(app.request).require("credentials", "write")
    request = parse(CreateApiKeyRequest, app.request)
    key, text = use_cases.create_api_key(credentials(), user, request)
    return Response(key.wire() | {"apiKey": text}, status_code=201)


@app.route("/auth/api-keys", methods=["GET"], authorizer=authorizer)
def list_api_keys() -> Response:
    user = caller(app.request).require("credentials", "read")
    params = query(app.request, "limit", "nextToken")
    start = cursors().open(params.get("nextToken"), f"{user.user_id} api-keys")
    found, position = credentials().keys_of(user.user_id, limit(params), start)
    token = cursors().seal(position, f"{user.user_id} api-keys")
    return Response({"items": [key.wire() for key in found], "nextToken": token})


@app.route("/auth/api-keys/{key_id}", methods=["DELETE"], authorizer=authorizer)
def delete_api_key(key_id: str) -> Response:
    user = caller(app.request).require("credentials", "write")
    credentials().remove_key(use_cases.load_owned(credentials(), user, path_id(key_id)))
    return Response("", status_code=204)


def _header(event: dict[str, Any]) -> str:
    if "authorizationToken" in event:
        return str(event["authorizationToken"])
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    return str(headers.get("authorization", ""))
