"""The auth service: users, API keys, tokens, and the authorizer that every API uses."""

import json
import os
from functools import cache, partial
from typing import Any

import boto3
from chalice.app import Response
from chalicelib.auth.models.api_keys import CreateApiKeyRequest
from chalicelib.auth.models.sessions import OfferedToken, RefreshRequest, RefreshTokens, TokenPair
from chalicelib.auth.models.signing_keys import RotateSigningKeyRequest, Signer
from chalicelib.auth.models.users import CreateOperatorRequest, CreateUserRequest, UpdateUserRequest
from chalicelib.auth.repository.attempts import AttemptRepository
from chalicelib.auth.repository.credentials import CredentialRepository
from chalicelib.auth.repository.revocations import revocations
from chalicelib.auth.repository.sessions import SessionRepository
from chalicelib.auth.repository.signing_keys import KeyRingRepository
from chalicelib.auth.use_cases import attempts, signing_keys
from chalicelib.auth.use_cases import credentials as use_cases
from chalicelib.auth.use_cases.tokens import Tokens
from common.http import ServiceApp
from common.outbox import relay
from common.paging import page
from common.principals import Principal
from common.rate_limits import Limit
from common.requests import once, parse, payload, query
from common.secrets import signing_secret
from common.service import outbox_relay, table

REFRESHES_PER_MINUTE = 20

app = ServiceApp("auth")
relay_outbox = relay(app, outbox_relay)


@app.lambda_function(name="authorize")
def authorize(event: dict[str, Any], context: object) -> dict[str, Any]:
    """For Chalice to package; what is deployed as its handler is this function itself."""
    from chalicelib.auth.authorizer import handler

    return handler.authorize(event, context)


@cache
def credentials() -> CredentialRepository:
    return CredentialRepository(table())


@cache
def keys() -> KeyRingRepository:
    return KeyRingRepository(table())


@cache
def signer() -> Signer:
    """Imported here: only who makes keys or tokens pays for the cryptography."""
    from chalicelib.auth.kms import KmsSigner

    return KmsSigner(boto3.client("kms"), os.environ["ISSUER"])


def tokens() -> Tokens:
    return Tokens(
        credentials(),
        SessionRepository(table()),
        keys(),
        signer(),
        RefreshTokens(signing_secret(os.environ["REFRESH_SECRET"])),
        os.environ["ISSUER"],
    )


@app.operation("GET", "/auth/me")
def get_me(user: Principal) -> Response:
    return Response(user.wire())


@app.operation("POST", "/auth/users", "users:write")
def create_user(user: Principal) -> Response:
    request = parse(CreateUserRequest, app.request)
    created = use_cases.create_user(credentials(), user, request, once(app.request))
    return Response(created.wire(), status_code=201)


@app.operation("GET", "/auth/users", "users:read")
def list_users(user: Principal) -> Response:
    params = query(app.request, "limit", "nextToken")
    return page(user, params, "users", credentials().users)


@app.operation("GET", "/auth/users/{user_id}", "users:read")
def get_user(user: Principal, user_id: str) -> Response:
    return Response(credentials().user(user_id).wire())


@app.operation("PUT", "/auth/users/{user_id}", "users:write")
def update_user(user: Principal, user_id: str) -> Response:
    request = parse(UpdateUserRequest, app.request)
    return Response(use_cases.update_user(credentials(), user, user_id, request).wire())


@app.operation("POST", "/auth/api-keys", "credentials:write")
def create_api_key(user: Principal) -> Response:
    request = parse(CreateApiKeyRequest, app.request)
    key, text = use_cases.create_api_key(credentials(), user, request)
    return Response(key.wire() | {"apiKey": text}, status_code=201)


@app.operation("GET", "/auth/api-keys", "credentials:read")
def list_api_keys(user: Principal) -> Response:
    """`userId` asks for another user's, which needs users:read."""
    params = query(app.request, "userId", "limit", "nextToken")
    owner_id = params.get("userId", user.user_id)
    if owner_id != user.user_id:
        user.require("users:read")
    return page(user, params, f"api-keys {owner_id}", partial(credentials().keys_of, owner_id))


@app.operation("DELETE", "/auth/api-keys/{key_id}", "credentials:write")
def delete_api_key(user: Principal, key_id: str) -> Response:
    use_cases.remove_api_key(credentials(), user, key_id)
    return Response("", status_code=204)


@app.operation("POST", "/auth/token")
def create_token(user: Principal) -> Response:
    return _tokens(tokens().issue(user))


@app.public("POST", "/auth/token/refresh")
def refresh_token() -> Response:
    made = tokens()
    return _tokens(made.refresh(_offered(made)))


@app.public("POST", "/auth/token/revoke")
def revoke_token() -> Response:
    made = tokens()
    made.revoke(_offered(made))
    return Response("", status_code=204)


@app.public("GET", "/.well-known/jwks.json", is_limited=False)
def get_key_set() -> Response:
    document = signing_keys.key_set(keys().get(), revocations(table()))
    return Response(document, {"Cache-Control": "public, max-age=10"})


@app.lambda_function(name="create_operator")
def create_operator(event: dict[str, Any], _context: object) -> dict[str, str]:
    """Invoked with AWS credentials, at least once per deployment; README.md says how."""
    request = payload(CreateOperatorRequest, event)
    signing_keys.ensure_key(keys(), signer())
    user, key = use_cases.create_operator(credentials(), request.name)
    return {"userId": user.id, "apiKey": key}


@app.lambda_function(name="rotate_signing_key")
def rotate_signing_key(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Invoked by an operator with AWS credentials; `{"revoke": true}` after a key got lost."""
    request = payload(RotateSigningKeyRequest, event)
    ring = signing_keys.rotate(keys(), signer(), revoke=request.revoke)
    return {"keys": [key.model_dump(by_alias=True, exclude={"jwk"}) for key in ring.keys]}


@app.lambda_function(name="record_observations")
def record_observations(event: dict[str, Any], _context: object) -> None:
    """What the authorizer noticed, in batches from its queue."""
    seen = [json.loads(record["body"]) for record in event["Records"]]
    attempts.record(credentials(), AttemptRepository(table()), seen)


def _offered(made: Tokens) -> OfferedToken:
    """Counted by session: who has one refresh token cannot keep the signer busy with it."""
    offered = made.offered(parse(RefreshRequest, app.request).refresh_token)
    app.count(Limit("session", offered.session_id, REFRESHES_PER_MINUTE))
    return offered


def _tokens(pair: TokenPair) -> Response:
    """RFC 6749 §5.1: nobody on the way may keep them."""
    return Response(pair.wire(), {"Cache-Control": "no-store"})
