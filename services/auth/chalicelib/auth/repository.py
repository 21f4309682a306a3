"""The auth table: users and API keys."""

import json

from chalicelib.auth.models import ApiKey, User
from common.cursors import Position
from common.dynamo import Put, Table
from common.errors import NotFound
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
        return User(
            id=row["userId"],
            name=row["name"],
            permissions=tuple(map(Permission.of, json.loads(row["permissions"]))),
            quotas=Quotas.of(json.loads(row["quotas"])),
            created_at=row["createdAt"],
        )

    def add_user(self, user: User, once: Once | None = None) -> None:
        row: Row = {
            "PK": f"USER#{user.id}",
            "SK": "METADATA",
            "userId": user.id,
            "name": user.name,
            "permissions": json.dumps([held.wire() for held in user.permissions]),
            "quotas": json.dumps(user.quotas.wire()),
            "createdAt": user.created_at,
        }
        self._table.write(Put(row), once=once)

    def key(self, key_id: str) -> ApiKey | None:
        row = self._table.get(f"KEY#{key_id}", "METADATA")
        return _key(row) if row else None

    def keys_of(
        self, user_id: str, limit: int, start: Position | None
    ) -> tuple[list[ApiKey], Position | None]:
        page = self._table.query(f"USER#{user_id}", index="GSI1", limit=limit, start=start)
        return [_key(row) for row in page.rows], page.position

    def add_key(self, key: ApiKey) -> None:
        row: Row = {
            "PK": f"KEY#{key.key_id}",
            "SK": "METADATA",
            "GSI1PK": f"USER#{key.user_id}",
            "GSI1SK": f"KEY#{key.created_at}#{key.key_id}",
            "keyId": key.key_id,
            "userId": key.user_id,
            "name": key.name,
            "createdAt": key.created_at,
            "expiresAt": key.expires_at,
            "secretHash": key.secret_hash,
        }
        self._table.write(Put(row))

    def remove_key(self, key: ApiKey) -> None:
        self._table.delete(f"KEY#{key.key_id}", "METADATA")


def _key(row: Row) -> ApiKey:
    return ApiKey(
        key_id=row["keyId"],
        user_id=row["userId"],
        name=row["name"],
        created_at=row["createdAt"],
        expires_at=row.get("expiresAt"),
        secret_hash=row["secretHash"],
    )
