"""The auth service: users, API keys, tokens, and the authorizer that every API uses."""

import json
import os
from functools import cache, partial
from typing import Any

import boto3
from chalicelib.auth import api_document
from chalicelib.auth.models.api_keys import ApiKey, CreateApiKeyRequest, KeysQuery, NewApiKey
from chalicelib.auth.models.sessions import OfferedToken, RefreshRequest, RefreshTokens, TokenPair
from chalicelib.auth.models.signing_keys import KeySet, RotateSigningKeyRequest, Signer
from chalicelib.auth.models.users import (
    Caller,
    CreateOperatorRequest,
    CreateUserRequest,
    UpdateUserRequest,
    User,
)
from chalicelib.auth.repository.attempts import AttemptRepository
from chalicelib.auth.repository.credentials import CredentialRepository
from chalicelib.auth.repository.revocations import revocations
from chalicelib.auth.repository.sessions import SessionRepository
from chalicelib.auth.repository.signing_keys import KeyRingRepository
from chalicelib.auth.use_cases import attempts, signing_keys
from chalicelib.auth.use_cases import credentials as use_cases
from chalicelib.auth.use_cases.tokens import Tokens
from common.errors import NotFound, Unauthenticated
from common.http import ServiceApp
from common.idempotency import Once
from common.outbox import relay
from common.paging import Page, page
from common.principals import Principal
from common.queries import Paging
from common.rate_limits import Limit
from common.requests import payload
from common.secrets import signing_secret
from common.service import outbox_relay, table

REFRESHES_PER_MINUTE = 20
NOT_TO_BE_KEPT = {"Cache-Control": "no-store"}
"""RFC 6749 §5.1: by nobody on the way."""
KEPT_SHORTLY = {"Cache-Control": "public, max-age=10"}
KEPT_LONGER = {"Cache-Control": "public, max-age=300"}

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
def get_me(user: Principal) -> Caller:
    return Caller.of(user)


@app.operation("POST", "/auth/users", "users:write", status=201)
def create_user(user: Principal, body: CreateUserRequest, once: Once | None) -> User:
    return use_cases.create_user(credentials(), user, body, once)


@app.operation("GET", "/auth/users", "users:read")
def list_users(user: Principal, query: Paging) -> Page[User]:
    return page(user, query, "users", credentials().users)


@app.operation("GET", "/auth/users/{user_id}", "users:read")
def get_user(user: Principal, user_id: str) -> User:
    return credentials().user(user_id)


@app.operation("PUT", "/auth/users/{user_id}", "users:write")
def update_user(user: Principal, user_id: str, body: UpdateUserRequest) -> User:
    return use_cases.update_user(credentials(), user, user_id, body)


@app.operation("POST", "/auth/api-keys", "credentials:write", status=201, raises=(NotFound,))
def create_api_key(user: Principal, body: CreateApiKeyRequest) -> NewApiKey:
    """The answer is the only one that ever shows the key."""
    return use_cases.create_api_key(credentials(), user, body)


@app.operation("GET", "/auth/api-keys", "credentials:read")
def list_api_keys(user: Principal, query: KeysQuery) -> Page[ApiKey]:
    """`userId` asks for another user's, which needs users:read."""
    owner_id = query.user_id or user.user_id
    if owner_id != user.user_id:
        user.require("users:read")
    return page(user, query, f"api-keys {owner_id}", partial(credentials().keys_of, owner_id))


@app.operation("DELETE", "/auth/api-keys/{key_id}", "credentials:write")
def delete_api_key(user: Principal, key_id: str) -> None:
    """With it end all tokens that were obtained with it."""
    use_cases.remove_api_key(credentials(), user, key_id)


@app.operation("POST", "/auth/token", headers=NOT_TO_BE_KEPT)
def create_token(user: Principal) -> TokenPair:
    """An access token for the caller's API key, and a refresh token."""
    return tokens().issue(user)


@app.public("POST", "/auth/token/refresh", headers=NOT_TO_BE_KEPT, raises=(Unauthenticated,))
def refresh_token(body: RefreshRequest) -> TokenPair:
    made = tokens()
    return made.refresh(_offered(made, body))


@app.public("POST", "/auth/token/revoke", raises=(Unauthenticated,))
def revoke_token(body: RefreshRequest) -> None:
    """The whole session ends, with the access tokens made in it."""
    made = tokens()
    made.revoke(_offered(made, body))


@app.public("GET", "/.well-known/jwks.json", is_limited=False, headers=KEPT_SHORTLY)
def get_key_set() -> KeySet:
    return signing_keys.key_set(keys().get(), revocations(table()))


@app.public("GET", "/openapi.json", headers=KEPT_LONGER)
def get_openapi() -> dict[str, Any]:
    """This document."""
    return api_document.read()


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


def _offered(made: Tokens, body: RefreshRequest) -> OfferedToken:
    """Counted by session: who has one refresh token cannot keep the signer busy with it."""
    offered = made.offered(body.refresh_token)
    app.count(Limit("session", offered.session_id, REFRESHES_PER_MINUTE))
    return offered
