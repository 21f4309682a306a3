"""Requests as typed values: what is not as it should be is refused here, field by field."""

import hashlib
import json
import re
from typing import TypeVar

from chalice.app import Request
from pydantic import ValidationError

from common import strict_json
from common.clock import epoch_in
from common.errors import Invalid, NotFound, TooLarge, Unauthenticated
from common.idempotency import Once
from common.models import ID, Model
from common.principals import Principal

MAX_BODY_BYTES = 256 * 1024
_HEADER = re.compile(r"[\x21-\x7e]{1,255}")
M = TypeVar("M", bound=Model)


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
        return model.from_client(body)
    except ValidationError as error:
        raise Invalid.from_validation(error) from error


def payload(model: type[M], event: object) -> M:
    """What a function was invoked with, by whoever has AWS credentials. Raises ValueError, whose
    text is all that they see."""
    try:
        return model.from_client(json.dumps(event))
    except ValidationError as error:
        told = (f"{'.'.join(map(str, issue['loc']))}: {issue['msg']}" for issue in error.errors())
        raise ValueError("; ".join(told)) from None


def caller(request: Request) -> Principal:
    """Who the authorizer says it is. Two credentials are none: which one was meant is a guess, and
    the authorizer's cached answer is about one of them only."""
    if "x-api-key" in request.headers and "authorization" in request.headers:
        raise Unauthenticated()
    principal = Principal.from_authorizer(request.context.get("authorizer"))
    if principal.expires_at is not None and principal.expires_at <= epoch_in(0):
        raise Unauthenticated()
    return principal


def path_id(value: str) -> str:
    """An id from the path; what cannot be an id cannot exist."""
    if not re.fullmatch(ID, value):
        raise NotFound("There is nothing with this id")
    return value


def header(request: Request, name: str) -> str | None:
    value = request.headers.get(name)
    if value is not None and not _HEADER.fullmatch(value):
        raise Invalid(f"{name} must be 1 to 255 visible ASCII characters", field=name)
    return value


def query(model: type[M], request: Request) -> M:
    """The query parameters; an unknown one is an error, so that a typo is not silently ignored."""
    try:
        return model.model_validate(dict(request.query_params or {}), by_alias=True, by_name=False)
    except ValidationError as error:
        raise Invalid.from_validation(error) from error


def header_or(request: Request, name: str, default: str) -> str:
    value = request.headers.get(name, "")
    return value if _HEADER.fullmatch(value) else default


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
