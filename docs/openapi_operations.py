"""One service's part of the OpenAPI document. `printed` runs beside the service's code."""

import inspect
import json
import re
from collections.abc import Iterator
from typing import Any

from common.errors import (
    AppError,
    Conflict,
    Forbidden,
    IdempotencyMismatch,
    Invalid,
    NotFound,
    PreconditionFailed,
    TooLarge,
    TooManyRequests,
    Unauthenticated,
)
from common.events.schemas import Schema
from common.models import ID
from common.operations import Operation
from pydantic.alias_generators import to_camel

from docs import openapi_models as models

_MEDIA_TYPE_REFUSED = 415
_ANSWERS = {200: "Done", 201: "Created", 202: "Accepted", 204: "Done; there is nothing to say"}
_REQUEST_HEADERS = {"once": "IdempotencyKey", "idempotency_key": "IdempotencyKey"}
_REQUEST_HEADERS |= {"if_match": "IfMatch"}


def printed(app: Any, service: str) -> str:
    operations: list[Operation] = app.operations
    paths: dict[str, Schema] = {}
    for each in operations:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each, service)
    return json.dumps({"paths": paths, "schemas": models.schemas(operations)})


def _operation(operation: Operation, service: str) -> Schema:
    return {
        "operationId": to_camel(operation.name),
        "summary": operation.name.replace("_", " ").capitalize(),
        "description": _description(operation),
        "tags": [service],
        "security": _security(operation),
        "parameters": list(_parameters(operation)),
        **_body(operation),
        "responses": dict(_responses(operation)),
    }


def _description(operation: Operation) -> str:
    needs = f"Needs the permission `{operation.scope}`." if operation.scope else ""
    told = " ".join(inspect.cleandoc(operation.description).split())
    return " ".join(filter(None, (told, needs)))


def _security(operation: Operation) -> list[dict[str, list[str]]]:
    if operation.public:
        return []
    scopes = [operation.scope] if operation.scope else []
    return [{"apiKey": scopes}, {"accessToken": scopes}]


def _parameters(operation: Operation) -> Iterator[Schema]:
    for name in re.findall(r"{(\w+)}", operation.path):
        schema = {"type": "string", "pattern": f"^{ID}$"}
        yield {"name": name, "in": "path", "required": True, "schema": schema}
    if "query" in operation.takes:
        yield from models.parameters(operation.takes["query"])
    for name in operation.takes:
        if name in _REQUEST_HEADERS:
            yield {"$ref": f"#/components/parameters/{_REQUEST_HEADERS[name]}"}


def _body(operation: Operation) -> Schema:
    if "body" not in operation.takes:
        return {}
    content = {"application/json": {"schema": models.body(operation.takes["body"])}}
    return {"requestBody": {"required": True, "content": content}}


def _responses(operation: Operation) -> Iterator[tuple[str, Schema]]:
    status = 204 if operation.answers is None else operation.status
    headers = {name: _header(name) for name in _response_headers(operation)}
    own = dict(operation.headers)
    media_type = own.pop("Content-Type", "application/json").partition(";")[0]
    headers |= {name: {"schema": {"const": value}} for name, value in own.items()}
    response: Schema = {"description": _ANSWERS[status], "headers": headers}
    if status != 204:
        schema = models.answer(operation.answers)
        response |= {"content": {media_type: {"schema": schema}}}
    yield str(status), response
    for refused in sorted(_refusals(operation)):
        yield str(refused), {"$ref": f"#/components/responses/{refused}"}
    yield "5XX", {"$ref": "#/components/responses/5XX"}


def _response_headers(operation: Operation) -> Iterator[str]:
    yield from ("X-Request-Id", "traceresponse", "RateLimit", "RateLimit-Policy")
    if hasattr(operation.answers, "etag"):
        yield "ETag"
    if "once" in operation.takes:
        yield "Idempotent-Replayed"


def _header(name: str) -> Schema:
    return {"$ref": f"#/components/headers/{name}"}


def _refusals(operation: Operation) -> set[int]:
    """What can be wrong with a request follows from what the operation takes."""
    wrong: set[type[AppError]] = {Invalid, TooManyRequests, *operation.raises}
    changes = operation.method != "GET"
    if not operation.public:
        wrong |= {Unauthenticated, Forbidden}
        wrong |= {Conflict} if changes else set()
    if "{" in operation.path:
        wrong.add(NotFound)
    for name, error in _WRONG_WITH.items():
        wrong |= {error} if name in operation.takes else set()
    return {error.status for error in wrong} | ({_MEDIA_TYPE_REFUSED} if changes else set())


_WRONG_WITH: dict[str, type[AppError]] = {
    "body": TooLarge,
    "if_match": PreconditionFailed,
    "once": IdempotencyMismatch,
}
