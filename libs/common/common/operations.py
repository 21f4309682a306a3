"""What an operation takes and answers, as its handler's signature says: one declaration for who
calls it, for who carries it out, and for the OpenAPI document."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from chalice.app import Request, Response

from common.errors import AppError
from common.idempotency import Answer
from common.queries import NoParameters
from common.requests import header, once, parse, query

Answered = Answer | Mapping[str, object] | str | None
"""Text is of the type that the operation's headers tell."""
Handler = Callable[..., Answered]


_SOURCES: dict[str, Callable[[Any, Request], object]] = {
    "query": query,
    "body": parse,
    "if_match": lambda _, request: header(request, "if-match"),
    "idempotency_key": lambda _, request: header(request, "idempotency-key"),
    "once": lambda _, request: once(request),
}
"""Where a handler's argument of this name comes from. All others are ids of the path."""


@dataclass(frozen=True)
class Operation:
    """One line of a service's permission matrix. Without a scope, any known caller may.

    `takes` are the handler's arguments that the request gives, with their types, and `answers` the
    type of what it returns; `raises` what cannot be told from these.
    """

    name: str
    method: str
    path: str
    scope: str | None
    public: bool
    status: int
    takes: Mapping[str, Any]
    answers: Any
    headers: Mapping[str, str]
    raises: tuple[type[AppError], ...]
    description: str

    @classmethod
    def of(cls, handler: Handler, method: str, path: str, **declared: Any) -> "Operation":
        told = handler.__annotations__
        return cls(
            name=handler.__name__,
            method=method,
            path=path,
            takes={name: told[name] for name in _SOURCES if name in told},
            answers=told["return"],
            description=handler.__doc__ or "",
            **declared,
        )

    def arguments(self, request: Request) -> dict[str, object]:
        """What the request gives the handler. Raises Invalid and TooLarge."""
        if "query" not in self.takes:
            query(NoParameters, request)
        return {name: _SOURCES[name](kind, request) for name, kind in self.takes.items()}

    def response(self, answer: Answered) -> Response:
        if answer is None:
            return Response("", dict(self.headers), 204)
        headers: dict[str, str | list[str]] = dict(self.headers)
        if etag := getattr(answer, "etag", None):
            headers["ETag"] = etag
        body = answer if isinstance(answer, Mapping | str) else answer.wire()
        return Response(body, headers, self.status)
