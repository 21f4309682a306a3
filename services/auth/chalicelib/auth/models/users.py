"""Users, and what an operator may say about them."""

from dataclasses import replace
from typing import Literal, Self

from common.models import Model, Name
from common.principals import (
    ANY,
    OPERATORS_RESOURCES,
    RESOURCES,
    Action,
    Permission,
    Principal,
    Resource,
)
from common.quotas import DEFAULT_QUOTAS, Quotas
from pydantic import Field, field_serializer

USER_PERMISSIONS = tuple(
    Permission(resource, ("read", "write"))
    for resource in RESOURCES
    if resource not in OPERATORS_RESOURCES
)
OPERATOR_PERMISSIONS = (Permission(ANY, (ANY,)),)
_MOST, _MOST_TOKENS = 10**6, 10**12
OPERATOR_QUOTAS = Quotas(_MOST, _MOST, _MOST, _MOST, _MOST_TOKENS, _MOST)


class User(Model):
    """A disabled user's credentials are refused, whatever they are."""

    id: str
    name: str
    permissions: tuple[Permission, ...]
    quotas: Quotas = DEFAULT_QUOTAS
    disabled: bool = False
    created_at: str
    version: int = Field(default=1, exclude=True)

    @field_serializer("quotas")
    def _quotas(self, quotas: Quotas) -> dict[str, int]:
        return quotas.wire()


class Caller(Model):
    """Whose credential the request came with, and what it allows. `sessionId` and `expiresAt`, in
    seconds of Unix time, are those of an access token."""

    user_id: str
    credential_id: str
    session_id: str | None
    permissions: tuple[Permission, ...]
    quotas: dict[str, int]
    expires_at: int | None

    @classmethod
    def of(cls, principal: Principal) -> Self:
        return cls(
            user_id=principal.user_id,
            credential_id=principal.credential_id,
            session_id=principal.session_id,
            permissions=principal.permissions,
            quotas=principal.quotas.wire(),
            expires_at=principal.expires_at,
        )


class WantedPermission(Model):
    resource: Resource | Literal["*"]
    actions: list[Action | Literal["*"]] = Field(min_length=1, max_length=3)

    def granted(self) -> Permission:
        return Permission(self.resource, tuple(self.actions))


class WantedQuotas(Model):
    """What is left out stays as it is; for a new user that is an ordinary user's."""

    requests_per_minute: int = Field(default_factory=int, ge=1, le=_MOST)
    agents: int = Field(default_factory=int, ge=0, le=_MOST)
    active_tasks: int = Field(default_factory=int, ge=0, le=_MOST)
    sockets: int = Field(default_factory=int, ge=0, le=_MOST)
    tokens_per_day: int = Field(default_factory=int, ge=0, le=_MOST_TOKENS)
    schedules: int = Field(default_factory=int, ge=0, le=_MOST)

    def granted(self, before: Quotas = DEFAULT_QUOTAS) -> Quotas:
        return replace(before, **self.model_dump(exclude_unset=True))


class CreateUserRequest(Model):
    """Without `permissions` and `quotas` the user gets those of an ordinary user."""

    name: Name
    permissions: list[WantedPermission] | None = Field(default=None, max_length=50)
    quotas: WantedQuotas = Field(default_factory=WantedQuotas)

    def granted(self) -> tuple[Permission, ...]:
        if self.permissions is None:
            return USER_PERMISSIONS
        return tuple(held.granted() for held in self.permissions)


class CreateOperatorRequest(Model):
    name: Name


class UpdateUserRequest(Model):
    """What is left out stays as it is; permissions are replaced as a whole."""

    permissions: list[WantedPermission] | None = Field(default=None, max_length=50)
    quotas: WantedQuotas | None = None
    disabled: bool | None = None

    def granted(self) -> tuple[Permission, ...]:
        return tuple(held.granted() for held in self.permissions or ())

    def applied_to(self, user: User) -> User:
        changes: dict[str, object] = {"version": user.version + 1}
        if self.permissions is not None:
            changes["permissions"] = self.granted()
        if self.quotas is not None:
            changes["quotas"] = self.quotas.granted(user.quotas)
        if self.disabled is not None:
            changes["disabled"] = self.disabled
        return user.model_copy(update=changes)
