"""Who is calling, and what they may do. Free of pydantic: the authorizer starts with this."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Self, get_args

from common.errors import Forbidden, Unauthenticated
from common.quotas import DEFAULT_QUOTAS, Quotas

ANY = "*"
Resource = Literal["agents", "tasks", "events", "credentials", "users", "operations"]
Action = Literal["read", "write"]
RESOURCES: tuple[Resource, ...] = get_args(Resource)
OPERATORS_RESOURCES: tuple[Resource, ...] = ("users", "operations")
"""Of the whole platform: other users, and what is nobody's in particular."""
ACTIONS: tuple[Action, ...] = get_args(Action)


@dataclass(frozen=True)
class Permission:
    """Some actions on one kind of resource; `*` stands for any."""

    resource: str
    actions: tuple[str, ...]

    @classmethod
    def of(cls, wire: Mapping[str, object]) -> Self:
        actions = wire["actions"]
        assert isinstance(actions, list | tuple)
        return cls(str(wire["resource"]), tuple(map(str, actions)))

    def wire(self) -> dict[str, object]:
        return {"resource": self.resource, "actions": list(self.actions)}

    @property
    def scopes(self) -> list[str]:
        return [f"{self.resource}:{action}" for action in self.actions]

    def allows(self, scope: str) -> bool:
        resource, _, action = scope.partition(":")
        return self.resource in (resource, ANY) and (action in self.actions or ANY in self.actions)


def scope_of(permissions: Iterable[Permission]) -> str:
    """As OAuth writes them: `agents:read agents:write tasks:read`."""
    return " ".join(scope for held in permissions for scope in held.scopes)


def permissions_of(scope: str) -> tuple[Permission, ...]:
    actions: dict[str, list[str]] = {}
    for word in scope.split():
        resource, _, action = word.partition(":")
        actions.setdefault(resource, []).append(action)
    return tuple(Permission(resource, tuple(held)) for resource, held in actions.items())


@dataclass(frozen=True)
class Principal:
    """The authenticated caller, as the authorizer describes them to every handler.

    `credential_id` is the API key, or what an external issuer is known by, that everything goes
    back to; `session_id` names the session that an access token belongs to. `expires_at` is in
    seconds of Unix time: nothing may be served for the credential after it.
    """

    user_id: str
    credential_id: str
    permissions: tuple[Permission, ...] = ()
    session_id: str | None = None
    expires_at: int | None = None
    quotas: Quotas = DEFAULT_QUOTAS

    @classmethod
    def from_authorizer(cls, context: Mapping[str, object] | None) -> Self:
        """From API Gateway's authorizer context, whose values are all strings."""
        if not context or not context.get("userId"):
            raise Unauthenticated()
        told = {name: str(value) for name, value in context.items()}
        return cls(
            user_id=told["userId"],
            credential_id=told["credentialId"],
            permissions=tuple(map(Permission.of, json.loads(told["permissions"]))),
            session_id=told.get("sessionId"),
            expires_at=int(told["expiresAt"]) if "expiresAt" in told else None,
            quotas=Quotas.of(json.loads(told["quotas"])),
        )

    def as_authorizer_context(self) -> dict[str, str]:
        context = {
            "userId": self.user_id,
            "credentialId": self.credential_id,
            "permissions": json.dumps([held.wire() for held in self.permissions]),
            "quotas": json.dumps(self.quotas.wire()),
            "sessionId": self.session_id,
            "expiresAt": self.expires_at,
        }
        return {name: str(value) for name, value in context.items() if value is not None}

    def wire(self) -> dict[str, object]:
        return {
            "userId": self.user_id,
            "credentialId": self.credential_id,
            "sessionId": self.session_id,
            "permissions": [held.wire() for held in self.permissions],
            "quotas": self.quotas.wire(),
            "expiresAt": self.expires_at,
        }

    def may(self, scope: str) -> bool:
        """Whether a permission covers a scope, written `resource:action`."""
        return any(held.allows(scope) for held in self.permissions)

    def require(self, scope: str) -> Self:
        """Raises Forbidden unless a permission covers the scope."""
        if not self.may(scope):
            raise Forbidden(f"This needs the permission {scope}")
        return self

    def require_all(self, permissions: Iterable[Permission]) -> None:
        """Raises Forbidden for a permission that the caller does not have: nobody gives more."""
        for permission in permissions:
            for scope in permission.scopes:
                self.require(scope)

    def require_quotas(self, quotas: Quotas) -> None:
        """Raises Forbidden for more of anything than the caller has."""
        own = self.quotas.wire()
        if any(value > own[name] for name, value in quotas.wire().items()):
            raise Forbidden("This gives larger quotas than your own")

    def require_owner(self, owner_id: str, what: str) -> None:
        """The object-level check; every service calls it from its one `load_owned`."""
        if owner_id != self.user_id:
            raise Forbidden(f"{what} belongs to another user")
