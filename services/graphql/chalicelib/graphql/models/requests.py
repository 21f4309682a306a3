"""What clients send, and get back."""

from typing import Any

from common.models import Model
from typing_extensions import TypedDict


class GraphQLRequest(Model):
    """`extensions` is what some clients add; nothing in it is heeded."""

    query: str
    variables: dict[str, Any] | None = None
    operation_name: str | None = None
    extensions: dict[str, Any] | None = None


class GraphQLAnswer(TypedDict, total=False):
    """Errors have the platform's error in `extensions`."""

    data: dict[str, Any] | None
    errors: list[dict[str, Any]]
    extensions: dict[str, Any]
