"""Every failure a client can meet, as one tree.

AppError (500, never shown as it is)
├── Invalid 400            the request is malformed; details name each field
├── Unauthenticated 401
├── Forbidden 403          the object is somebody else's, or a permission is missing
├── NotFound 404
├── Conflict 409           the record changed meanwhile, or its state does not allow this
├── PreconditionFailed 412 If-Match names another revision
├── TooLarge 413
├── IdempotencyMismatch 422  the same Idempotency-Key came with another body
├── TooManyRequests 429    with Retry-After
│   └── QuotaExceeded      the user has as much of something as they may have
└── Unavailable 503
"""

from typing import TYPE_CHECKING, Self

from chalice.app import ChaliceUnhandledError

from common.quotas import Quota

if TYPE_CHECKING:
    from pydantic import ValidationError


class AppError(ChaliceUnhandledError):
    """Chalice hands only this family of exceptions to middleware, so that one place renders them.

    The code on the wire is the class's name; `details` reach the client: nothing secret in them.
    """

    status = 500

    def __init__(self, message: str, **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.details = details

    @property
    def code(self) -> str:
        return type(self).__name__


class Invalid(AppError):
    status = 400

    @classmethod
    def from_validation(cls, error: "ValidationError", prefix: str = "") -> Self:
        """Names every wrong field, not what was in it."""
        issues = error.errors(include_url=False, include_input=False, include_context=False)
        fields = [
            {
                "field": ".".join([*([prefix] if prefix else []), *map(str, issue["loc"])])
                or "body",
                "message": issue["msg"],
            }
            for issue in issues[:50]
        ]
        return cls("The request is not valid", fields=fields)


class Unauthenticated(AppError):
    """Says the same whatever was wrong: the difference would help only who should not know."""

    status = 401

    def __init__(self) -> None:
        super().__init__("The credentials are missing or not valid")


class Forbidden(AppError):
    status = 403


class NotFound(AppError):
    status = 404


class Conflict(AppError):
    status = 409


class PreconditionFailed(AppError):
    status = 412


class TooLarge(AppError):
    status = 413


class IdempotencyMismatch(AppError):
    status = 422


class TooManyRequests(AppError):
    """`retry_after` is in seconds; clients find it in the header and in the details."""

    status = 429

    def __init__(self, message: str, retry_after: int, **details: object) -> None:
        super().__init__(message, retryAfterSeconds=retry_after, **details)
        self.retry_after = retry_after


class QuotaExceeded(TooManyRequests):
    """A minute is how long to wait for what only the user can free."""

    def __init__(self, quota: Quota, retry_after: int = 60) -> None:
        super().__init__(
            f"The quota of {quota.limit} {quota.name} is used up",
            retry_after,
            quota=quota.name,
            limit=quota.limit,
        )


class Unavailable(AppError):
    status = 503


def envelope(
    code: str, message: str, details: object, request_id: str, timestamp: str
) -> dict[str, object]:
    """The error body of REST, GraphQL `extensions` and sockets alike."""
    error = {"code": code, "message": message, "requestId": request_id, "timestamp": timestamp}
    return {"error": error | ({"details": details} if details else {})}
