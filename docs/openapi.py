"""The REST API of all services as one OpenAPI 3.1 document: clients have one base URL."""

from typing import Any

from common.events.schemas import Schema

from docs.permissions import SERVICES
from infra.routes import printed_by

_PRINT = """
import app
from docs.openapi_operations import printed
print(printed(app.app, {service!r}))
"""
DESCRIPTION = """Every request has one credential: an API key or an access token. An object of
another user is 403, whatever the permissions.

A POST that takes an `Idempotency-Key` happens once for each key, however often it is sent.

Lists come in pages: `nextToken` of an answer is the query parameter for the next one. It serves
the same list and the same user only.

Whatever is refused comes with the same body, `Error`; `requestId` finds the request in the log.
What is answered may gain fields; what is there stays.

Live updates, over WebSockets, and GraphQL's schema are documented elsewhere."""

_TOLD: dict[int | str, str] = {
    400: "The request is malformed; `details` name what is wrong with it",
    401: "The credential is missing or not valid",
    403: "A permission is missing, or the object is somebody else's",
    404: "It does not exist",
    409: "It changed meanwhile, or its state does not allow this",
    412: "`If-Match` names another revision",
    413: "The request is too large",
    415: "The body is not `application/json`",
    422: "The same `Idempotency-Key` came with another body",
    429: "Too many requests, or a quota is used up: `Retry-After` says when to come back",
    "5XX": "Not the client's fault; what has an `Idempotency-Key` can be sent again",
}
_TEXT = {"type": "string"}
_ERROR: Schema = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "code": {"type": "string", "description": "What went wrong, for programs"},
                "message": {"type": "string", "description": "What went wrong, for people"},
                "requestId": _TEXT,
                "timestamp": _TEXT,
                "details": {"type": "object", "additionalProperties": True},
            },
            "required": ["code", "message", "requestId", "timestamp"],
        }
    },
    "required": ["error"],
}
_HEADERS = {
    "X-Request-Id": "Finds the request in the log",
    "traceresponse": "Names the trace, as W3C Trace Context has it",
    "RateLimit": "What the minute still has room for: draft-ietf-httpapi-ratelimit-headers-10",
    "RateLimit-Policy": "How many requests a minute has room for",
    "ETag": "The revision, for `If-Match`",
    "Idempotent-Replayed": "`true` if the request was carried out before",
    "Retry-After": "In seconds",
}


def document() -> dict[str, Any]:
    parts = {service: printed_by(service, _PRINT.format(service=service)) for service in SERVICES}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Realtime Agentic API",
            "version": "1.0.0",
            "description": "\n\n".join(
                " ".join(paragraph.split()) for paragraph in DESCRIPTION.split("\n\n")
            ),
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": service} for service in SERVICES],
        "paths": _together({service: part["paths"] for service, part in parts.items()}),
        "components": {
            "schemas": _together({service: part["schemas"] for service, part in parts.items()})
            | {"Error": _ERROR},
            "responses": {str(status): _refusal(status, text) for status, text in _TOLD.items()},
            "parameters": {
                "IdempotencyKey": _header_parameter("Idempotency-Key", "^[!-~]{1,255}$"),
                "IfMatch": _header_parameter("If-Match", "^[!-~]{1,255}$"),
            },
            "headers": {
                name: {"description": text, "schema": _TEXT} for name, text in _HEADERS.items()
            },
            "securitySchemes": {
                "apiKey": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-Api-Key",
                    "description": "For servers. `Authorization: ApiKey …` means the same.",
                },
                "accessToken": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            },
        },
    }


def _together(parts: dict[str, dict[str, Schema]]) -> dict[str, Schema]:
    """What services have of the same name is the same."""
    whole: dict[str, Schema] = {}
    for service, part in parts.items():
        for name, value in part.items():
            assert whole.setdefault(name, value) == value, f"{service}: {name} is not the only one"
    return dict(sorted(whole.items()))


def _refusal(status: int | str, text: str) -> Schema:
    names = ["X-Request-Id"] if status != 429 else ["X-Request-Id", "Retry-After"]
    schema = {"$ref": "#/components/schemas/Error"}
    return {
        "description": text,
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names},
        "content": {"application/json": {"schema": schema}},
    }


def _header_parameter(name: str, pattern: str) -> Schema:
    return {"name": name, "in": "header", "schema": {"type": "string", "pattern": pattern}}
