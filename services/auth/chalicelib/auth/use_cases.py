"""What the auth service does."""

from chalicelib.auth.models import (
    OPERATOR_PERMISSIONS,
    OPERATOR_QUOTAS,
    ApiKey,
    CreateApiKeyRequest,
    CreateUserRequest,
    KeyText,
    User,
    secret_hash,
)
from chalicelib.auth.repository import CredentialRepository
from common.clock import new_id, timestamp
from common.errors import NotFound, Unauthenticated
from common.idempotency import Once
from common.principals import Permission, Principal
from common.quotas import Quotas


def authenticate(credentials: CredentialRepository, header: str) -> Principal:
    """The principal of an Authorization header, or Unauthenticated: the same whatever was wrong."""
    scheme, _, text = header.partition(" ")
    offered = KeyText.parse(text.strip()) if scheme.lower() == "apikey" else None
    key = offered and credentials.key(offered.key_id)
    if not offered or not key or not key.opens_with(offered.secret, timestamp()):
        raise Unauthenticated("The credentials are not valid")
    user = credentials.user(key.user_id)
    return Principal(
        user_id=user.id,
        credential_id=key.key_id,
        permissions=user.permissions,
        quotas=user.quotas,
    )


def create_operator(credentials: CredentialRepository, name: str) -> tuple[User, str]:
    """The first user of a deployment, with a key; whoever may invoke this function may do it."""
    user = _new_user(name, OPERATOR_PERMISSIONS, OPERATOR_QUOTAS)
    credentials.add_user(user)
    return user, _issue(credentials, user.id, CreateApiKeyRequest(name="operator"))[1]


def create_user(
    credentials: CredentialRepository,
    principal: Principal,
    request: CreateUserRequest,
    once: Once | None,
) -> User:
    """Nobody can give what they do not have."""
    principal.require_all(request.granted())
    user = _new_user(request.name, request.granted(), request.quotas.granted())
    credentials.add_user(user, once and once.answering(201, user))
    return user


def create_api_key(
    credentials: CredentialRepository, principal: Principal, request: CreateApiKeyRequest
) -> tuple[ApiKey, str]:
    """The key as it is kept, and its text, which is shown this once."""
    owner_id = request.user_id or principal.user_id
    if owner_id != principal.user_id:
        principal.require("users:write")
    owner = credentials.user(owner_id)
    if owner_id != principal.user_id:
        principal.require_all(owner.permissions)
    return _issue(credentials, owner.id, request)


def load_owned(credentials: CredentialRepository, principal: Principal, key_id: str) -> ApiKey:
    """The one owner check of this service: 404 for a missing key, 403 for another user's."""
    key = credentials.key(key_id)
    if key is None:
        raise NotFound(f"API key {key_id} does not exist", keyId=key_id)
    principal.require_owner(key.user_id, f"API key {key_id}")
    return key


def _new_user(name: str, permissions: tuple[Permission, ...], quotas: Quotas) -> User:
    return User(
        id=new_id(), name=name, permissions=permissions, quotas=quotas, created_at=timestamp()
    )


def _issue(
    credentials: CredentialRepository, user_id: str, request: CreateApiKeyRequest
) -> tuple[ApiKey, str]:
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
    return key, str(text)
