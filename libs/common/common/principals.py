"""Who is calling, and what they may do."""

from collections.abc import Mapping
from typing import Self

from common.errors import Forbidden, Unauthenticated
from common.models import Model

ANY = "*"


class Permission(Model):
    resource: str
    actions: tuple[str, ...]

    def allows(self, resource: str, action: str) -> bool:
        return self.resource in (resource, ANY) and (action in self.actions or ANY in self.actions)


class Principal(Model):
    """The authenticated caller, as the authorizer describes them to every handler."""

    user_id: str
    credential_id: str
    permissions: tuple[Permission, ...] = ()

    @classmethod
    def from_authorizer(cls, context: Mapping[str, str] | None) -> Self:
        """From API Gateway's authorizer context, whose values are all strings."""
        if not context or not context.get("userId"):
            raise Unauthenticated("The request carries no identity")
        return cls.model_validate_json(context["principal"])

    def as_authorizer_context(self) -> dict[str, str]:
        return {"userId": self.user_id, "principal": self.model_dump_json(by_alias=True)}

    def require(self, resource: str, action: str) -> Self:
        """Raises Forbidden unless a permission covers the action on this kind of resource."""
        if not any(held.allows(resource, action) for held in self.permissions):
            raise Forbidden(f"This needs the permission {resource}:{action}")
        return self

    def require_owner(self, owner_id: str, what: str) -> None:
        """The object-level check; every service calls it from its one `load_owned`."""
        if owner_id != self.user_id:
            raise Forbidden(f"{what} belongs to another user")
