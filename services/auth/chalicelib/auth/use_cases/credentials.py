"""Users and API keys."""

from typing import Any

from chalicelib.auth.models.api_keys import (
    ApiKey,
    CreateApiKeyRequest,
    KeyText,
    NewApiKey,
    secret_hash,
)
from chalicelib.auth.models.revocations import Revocation
from chalicelib.auth.models.users import (
    OPERATOR_PERMISSIONS,
    OPERATOR_QUOTAS,
    CreateUserRequest,
    UpdateUserRequest,
    User,
)
from chalicelib.auth.repository.credentials import CredentialRepository
from common.clock import new_id, timestamp
from common.dynamo import retry_conflicts
from common.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated
from common.events.auth import AccessRevokedV1, UserChangedV1
from common.idempotency import Once
from common.principals import Permission, Principal, scope_of
from common.quotas import Quotas


def authenticate(credentials: CredentialRepository, text: str) -> tuple[Principal, ApiKey]:
    """Whose API key this is. Raises Unauthenticated: the same whatever was wrong."""
    offered = KeyText.parse(text)
    key = offered and credentials.key(offered.key_id)
    if not offered or not key or not key.opens_with(offered.secret, timestamp()):
        raise Unauthenticated()
    user = enabled_user(credentials, key.user_id)
    principal = Principal(
        user_id=user.id,
        credential_id=key.key_id,
        permissions=user.permissions,
        expires_at=key.expiry,
        quotas=user.quotas,
    )
    return principal, key


def enabled_user(credentials: CredentialRepository, user_id: str) -> User:
    try:
        user = credentials.user(user_id)
    except NotFound as error:
        raise Unauthenticated() from error
    if user.disabled:
        raise Unauthenticated()
    return user


def create_operator(credentials: CredentialRepository, name: str) -> tuple[User, str]:
    """With a key; whoever may invoke this function may do it."""
    user = _new_user(name, OPERATOR_PERMISSIONS, OPERATOR_QUOTAS)
    credentials.add_user(user)
    return user, _issue(credentials, user.id, CreateApiKeyRequest(name="operator")).api_key


def create_user(
    credentials: CredentialRepository,
    principal: Principal,
    request: CreateUserRequest,
    once: Once | None,
) -> User:
    """Nobody can give what they do not have."""
    principal.require_all(request.granted())
    quotas = request.quotas.granted()
    principal.require_quotas(quotas)
    user = _new_user(request.name, request.granted(), quotas)
    credentials.add_user(user, once and once.answering(201, user))
    return user


def update_user(
    credentials: CredentialRepository,
    principal: Principal,
    user_id: str,
    request: UpdateUserRequest,
) -> User:
    """Nobody can give what they do not have, or take it from who has more. Tokens that say what
    was allowed before end."""

    def attempt() -> User:
        before = credentials.user(user_id)
        after = request.applied_to(before)
        principal.require_all((*before.permissions, *after.permissions))
        if after.quotas != before.quotas:
            principal.require_quotas(after.quotas)
        about: dict[str, Any] = {
            "user_id": user_id,
            "aggregate_id": user_id,
            "aggregate_version": after.version,
        }
        changed = UserChangedV1(
            scope=scope_of(after.permissions),
            quotas=after.quotas.wire(),
            disabled=after.disabled,
            **about,
        )
        revocation = Revocation.of(user_id, after.version)
        credentials.replace_user(before, after, revocation, AccessRevokedV1(**about), changed)
        return after

    return retry_conflicts(attempt)


def create_api_key(
    credentials: CredentialRepository, principal: Principal, request: CreateApiKeyRequest
) -> NewApiKey:
    if principal.session_id:
        raise Forbidden("An access token cannot make a key, which would outlive it")
    if request.expires_at is not None and request.expires_at <= timestamp():
        raise Invalid("expiresAt has passed", field="expiresAt")
    owner_id = request.user_id or principal.user_id
    if owner_id != principal.user_id:
        _require_charge_of(credentials, principal.require("users:write"), owner_id)
    elif not credentials.has_user(owner_id):
        raise Forbidden("Users of an external issuer have no API keys")
    return _issue(credentials, owner_id, request)


def _require_charge_of(
    credentials: CredentialRepository, principal: Principal, user_id: str
) -> None:
    """Raises Forbidden for who has more than the caller, NotFound for nobody."""
    principal.require_all(credentials.user(user_id).permissions)


def remove_api_key(credentials: CredentialRepository, principal: Principal, key_id: str) -> None:
    """With everything that was obtained with it."""

    def attempt() -> None:
        key = load_owned(credentials, principal, key_id)
        event = AccessRevokedV1(
            credential_id=key_id,
            user_id=key.user_id,
            aggregate_id=key_id,
            aggregate_version=key.version + 1,
        )
        credentials.remove_key(key, Revocation.of(key_id), event)

    retry_conflicts(attempt)


def record_use(credentials: CredentialRepository, key_id: str, at: str) -> None:
    """Who else changed the key meanwhile, or removed it, was told of a use as recent as this."""
    key = credentials.key(key_id)
    if key is None or (key.last_used_at or "") >= at:
        return
    try:
        credentials.replace_key(key, key.used(at))
    except Conflict:
        return


def load_owned(credentials: CredentialRepository, principal: Principal, key_id: str) -> ApiKey:
    """The one owner check of this service: 404 for a missing key, 403 for another user's, unless
    the caller is in charge of that user."""
    key = credentials.key(key_id)
    if key is None:
        raise NotFound(f"API key {key_id} does not exist", keyId=key_id)
    if key.user_id != principal.user_id and principal.may("users:write"):
        _require_charge_of(credentials, principal, key.user_id)
    else:
        principal.require_owner(key.user_id, f"API key {key_id}")
    return key


def _new_user(name: str, permissions: tuple[Permission, ...], quotas: Quotas) -> User:
    return User(
        id=new_id(), name=name, permissions=permissions, quotas=quotas, created_at=timestamp()
    )


def _issue(
    credentials: CredentialRepository, user_id: str, request: CreateApiKeyRequest
) -> NewApiKey:
    text = KeyText.new()
    key = ApiKey(
        key_id=text.key_id,
        user_id=user_id,
        name=request.name,
        created_at=timestamp(),
        expires_at=request.expires_at,
        secret_hash=secret_hash(text.secret),
    )
    credentials.add_key(key)
    return NewApiKey(**dict(key), api_key=str(text))
