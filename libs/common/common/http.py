"""The edge of a service: a Chalice app that speaks the platform's errors, and typed requests."""

import hashlib
import logging
import os
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from chalice.app import Chalice, CustomAuthorizer, Request, Response
from pydantic import ValidationError

from common import logs, strict_json
from common.clock import timestamp
from common.context import correlation_id
from common.errors import AppError, Invalid, NotFound, TooLarge, envelope
from common.idempotency import Once, Replayed
from common.models import Model
from common.principals import Principal

MAX_BODY_BYTES = 256 * 1024
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HEADER = re.compile(r"[\x21-\x7e]{1,255}")
M = TypeVar("M", bound=Model)
log = logging.getLogger(__name__)

# Chalice wants the authorizer when routes are declared; infra sets its URI while it packages, and
# at run time API Gateway has already called it.
authorizer = CustomAuthorizer(
    "platform",
    authorizer_uri=os.environ.get("AUTHORIZER_URI", "set-when-packaged"),
    ttl_seconds=int(os.environ.get("AUTHORIZER_TTL_SECONDS", "60")),
)


class ServiceApp(Chalice):
    """A Chalice app with JSON logs, one line per invocation, and errors rendered in one place."""

    def __init__(self, name: str) -> None:
        super().__init__(app_name=name, configure_logs=False)
        logs.configure()
        self.middleware("all")(_log_outcome)
        self.middleware("http")(_render_errors)

    @property
    def request(self) -> Request:
        """The request that the running route serves."""
        return cast(Request, self.current_request)


def parse(model: type[M], request: Request) -> M:
    """The body as `model`, or Invalid with one entry per wrong field, or TooLarge."""
    try:
        body = _body(request)
    except UnicodeError as error:
        raise Invalid("The body is not valid UTF-8") from error
    if len(body) > MAX_BODY_BYTES:
        raise TooLarge(f"The body is larger than {MAX_BODY_BYTES} bytes")
    strict_json.parse(body)
    try:
        return model.model_validate_json(body, strict=True)
    except ValidationError as error:
        raise Invalid.from_validation(error) from error


def caller(request: Request) -> Principal:
    return Principal.from_authorizer(request.context.get("authorizer"))


def path_id(value: str) -> str:
    """An id from the path; what cannot be an id cannot exist."""
    if not _ID.fullmatch(value):
        raise NotFound("There is nothing with this id")
    return value


def header(request: Request, name: str) -> str | None:
    value = request.headers.get(name)
    if value is not None and not _HEADER.fullmatch(value):
        raise Invalid(f"{name} must be 1 to 255 visible ASCII characters", field=name)
    return value


def query(request: Request, *allowed: str) -> Mapping[str, str]:
    """The query parameters; an unknown one is an error, so that a typo is not silently ignored."""
    params: Mapping[str, str] = request.query_params or {}
    for name in params:
        if name not in allowed:
            raise Invalid(f"Unknown query parameter {name[:50]!r}", field=name[:50])
    return params


def limit(params: Mapping[str, str], default: int = 20, most: int = 100) -> int:
    text = params.get("limit", str(default))
    if not re.fullmatch(r"[0-9]{1,3}", text) or not 1 <= int(text) <= most:
        raise Invalid(f"limit must be a number from 1 to {most}", field="limit")
    return int(text)


def once(request: Request) -> Once | None:
    """The client's Idempotency-Key, scoped to the caller and the operation."""
    key = header(request, "idempotency-key")
    if key is None:
        return None
    scope = f"{caller(request).user_id}#{request.method} {request.path}#{key}"
    return Once(
        key=hashlib.sha256(scope.encode()).hexdigest(),
        request_hash=hashlib.sha256(_body(request)).hexdigest(),
    )


def _body(request: Request) -> bytes:
    """Chalice decodes only binary media types; everything else arrives as text."""
    raw = request.raw_body
    return raw.encode() if isinstance(raw, str) else raw or b""


def _log_outcome(event: Any, get_response: Callable[[Any], Any]) -> Any:
    started = time.perf_counter()
    response = get_response(event)
    extra: dict[str, object] = {"durationMs": round((time.perf_counter() - started) * 1000, 1)}
    if isinstance(event, Request):
        extra |= {"method": event.method, "path": event.path, "status": response.status_code}
    log.info("handled", extra=extra)
    return response


def _render_errors(request: Request, get_response: Callable[[Any], Any]) -> Response:
    request_id = request.context.get("requestId", "")
    correlation_id.set(header_or(request, "x-correlation-id", request_id))
    try:
        response: Response = get_response(request)
    except Replayed as replayed:
        response = _replayed(replayed.answer)
    except AppError as error:
        return _error_response(error.status, error.code, error.message, error.details, request_id)
    if response.status_code >= 400 and isinstance(response.body, dict) and "Code" in response.body:
        code, message = response.body["Code"], response.body["Message"]
        if response.status_code >= 500:
            code, message = (
                "InternalError",
                "Something went wrong; the request id finds it in the log",
            )
        refused = _error_response(response.status_code, code, message, None, request_id)
        refused.headers |= {k: v for k, v in response.headers.items() if k == "Allow"}
        return refused
    response.headers.setdefault("X-Request-Id", request_id)
    return response


def _replayed(answer: Once) -> Response:
    headers: dict[str, str | list[str]] = {
        "Content-Type": "application/json",
        "Idempotent-Replayed": "true",
    }
    headers |= {"ETag": answer.etag} if answer.etag else {}
    return Response(answer.body, headers, answer.status)


def header_or(request: Request, name: str, default: str) -> str:
    value = request.headers.get(name, "")
    return value if _HEADER.fullmatch(value) else default


def _error_response(
    status: int, code: str, message: str, details: object, request_id: str
) -> Response:
    body = envelope(code, message, details, request_id, timestamp())
    return Response(body, {"X-Request-Id": request_id}, status)
