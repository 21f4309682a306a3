"""Users and API keys in the auth table."""

import json

from chalicelib.auth.models.api_keys import ApiKey
from chalicelib.auth.models.revocations import Revocation
from chalicelib.auth.models.users import User
from chalicelib.auth.repository.revocations import revocation_row
from common.cursors import Position
from common.dynamo import Delete, Put, Table
from common.errors import NotFound
from common.events.auth import AccessRevokedV1
from common.events.base import Event
from common.idempotency import Once
from common.principals import Permission
from common.quotas import Quotas
from common.rows import Row


class CredentialRepository:
    def __init__(self, table: Table) -> None:
        self._table = table

    def user(self, user_id: str) -> User:
        row = self._table.get(f"USER#{user_id}", "METADATA")
        if row is None:
            raise NotFound(f"User {user_id} does not exist", userId=user_id)
        return _user(row)

    def has_user(self, user_id: str) -> bool:
        return self._table.get(f"USER#{user_id}", "METADATA") is not None

    def users(self, limit: int, start: Position | None) -> tuple[list[User], Position | None]:
        """Oldest first; one a moment old may be missing."""
        page = self._table.query("USERS", index="GSI1", limit=limit, start=start)
        return [_user(row) for row in page.rows], page.position

    def add_user(self, user: User, once: Once | None = None) -> None:
        self._table.write(Put(_user_row(user)), once=once)

    def replace_user(
        self, before: User, after: User, revocation: Revocation, *events: Event
    ) -> None:
        """Raises Conflict unless the user is stored as `before`."""
        self._table.write(
            Put(_user_row(after), version=before.version),
            revocation_row(revocation),
            events=events,
        )

    def key(self, key_id: str) -> ApiKey | None:
        row = self._table.get(f"KEY#{key_id}", "METADATA")
        return _key(row) if row else None

    def keys_of(
        self, user_id: str, limit: int, start: Position | None
    ) -> tuple[list[ApiKey], Position | None]:
        page = self._table.query(f"USER#{user_id}", index="GSI1", limit=limit, start=start)
        return [_key(row) for row in page.rows], page.position

    def add_key(self, key: ApiKey) -> None:
        self._table.write(Put(_key_row(key)))

    def replace_key(self, before: ApiKey, after: ApiKey) -> None:
        """Raises Conflict unless the key is stored as `before`: a removed one stays removed."""
        self._table.write(Put(_key_row(after), version=before.version))

    def remove_key(self, key: ApiKey, revocation: Revocation, event: AccessRevokedV1) -> None:
        self._table.write(
            Delete(f"KEY#{key.key_id}", "METADATA", key.version),
            revocation_row(revocation),
            events=[event],
        )


def _user_row(user: User) -> Row:
    return {
        "PK": f"USER#{user.id}",
        "SK": "METADATA",
        "GSI1PK": "USERS",
        "GSI1SK": f"{user.created_at}#{user.id}",
        "userId": user.id,
        "name": user.name,
        "permissions": json.dumps([held.wire() for held in user.permissions]),
        "quotas": json.dumps(user.quotas.wire()),
        "disabled": user.disabled,
        "createdAt": user.created_at,
        "version": user.version,
    }


def _user(row: Row) -> User:
    return User(
        id=row["userId"],
        name=row["name"],
        permissions=tuple(map(Permission.of, json.loads(row["permissions"]))),
        quotas=Quotas.of(json.loads(row["quotas"])),
        disabled=row["disabled"],
        created_at=row["createdAt"],
        version=row["version"],
    )


def _key_row(key: ApiKey) -> Row:
    return {
        "PK": f"KEY#{key.key_id}",
        "SK": "METADATA",
        "GSI1PK": f"USER#{key.user_id}",
        "GSI1SK": f"KEY#{key.created_at}#{key.key_id}",
        "keyId": key.key_id,
        "userId": key.user_id,
        "name": key.name,
        "createdAt": key.created_at,
        "expiresAt": key.expires_at,
        "lastUsedAt": key.last_used_at,
        "secretHash": key.secret_hash,
        "version": key.version,
    }


def _key(row: Row) -> ApiKey:
    return ApiKey(
        key_id=row["keyId"],
        user_id=row["userId"],
        name=row["name"],
        created_at=row["createdAt"],
        expires_at=row.get("expiresAt"),
        last_used_at=row.get("lastUsedAt"),
        secret_hash=row["secretHash"],
        version=row["version"],
    )
