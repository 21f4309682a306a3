"""What a web page's scripts may do with the APIs, if its origin is one of the stage's.

Nobody's cookies are credentials here: what a page may not do without CORS is to read, with a
credential that it has anyway.
"""

from collections.abc import Iterable
from fnmatch import fnmatchcase

METHODS = ("GET", "POST", "PUT", "DELETE")
REQUEST_HEADERS = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "Traceparent",
    "X-Api-Key",
    "X-Correlation-Id",
)
RESPONSE_HEADERS = (
    "ETag",
    "Idempotent-Replayed",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "Traceresponse",
    "X-Request-Id",
)
MAX_AGE_SECONDS = 3600


def is_allowed(origin: str, origins: Iterable[str]) -> bool:
    """`*` in an allowed origin stands for anything, as it does at CloudFront."""
    return any(fnmatchcase(origin, allowed) for allowed in origins)


def preflight_headers(origin: str) -> dict[str, str]:
    return answer_headers(origin) | {
        "Access-Control-Allow-Methods": ", ".join(METHODS),
        "Access-Control-Allow-Headers": ", ".join(REQUEST_HEADERS),
        "Access-Control-Max-Age": str(MAX_AGE_SECONDS),
    }


def answer_headers(origin: str) -> dict[str, str]:
    exposed = ", ".join(RESPONSE_HEADERS)
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": exposed,
        "Vary": "Origin",
    }
