"""What clients send."""

from typing import Any

from common.models import Model


class GraphQLRequest(Model):
    """`extensions` is what some clients add; nothing in it is heeded."""

    query: str
    variables: dict[str, Any] | None = None
    operation_name: str | None = None
    extensions: dict[str, Any] | None = None
