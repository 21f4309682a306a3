"""The OpenAPI document: valid, and about what there is."""

import json
from typing import Any

import pytest
from openapi_spec_validator import validate

from docs.generate import OPENAPI
from tests.operations import every_operation
from tests.service import running

METHODS = ("get", "post", "put", "patch", "delete")
DOCUMENT: dict[str, Any] = json.loads(OPENAPI.read_text())
OPERATIONS = {
    f"{method.upper()} {path}": told
    for path, methods in DOCUMENT["paths"].items()
    for method, told in methods.items()
}


def test_the_document_is_a_valid_openapi_document() -> None:
    validate(DOCUMENT)
    assert DOCUMENT["openapi"] == "3.1.0"


def test_every_operation_is_documented_and_no_other() -> None:
    declared = {f"{each.method} {each.path}" for each in every_operation()}
    assert OPERATIONS.keys() == declared


def test_operations_have_names_of_their_own() -> None:
    names = [told["operationId"] for told in OPERATIONS.values()]
    assert len(set(names)) == len(names)


def test_what_is_guarded_says_so_and_how() -> None:
    for each in every_operation():
        told = OPERATIONS[f"{each.method} {each.path}"]
        scopes = [each.scope] if each.scope else []
        wanted = [] if each.public else [{"apiKey": scopes}, {"accessToken": scopes}]
        assert told["security"] == wanted
        assert {"401", "403"} <= told["responses"].keys() or each.public


@pytest.mark.parametrize(
    ("call", "statuses"),
    [
        ("POST /agents", "201 400 401 403 409 413 415 422 429 5XX"),
        ("PUT /agents/{agent_id}", "200 400 401 403 404 409 412 413 415 429 5XX"),
        ("DELETE /schedules/{schedule_id}", "204 400 401 403 404 409 415 429 5XX"),
        ("POST /auth/token/refresh", "200 400 401 413 415 429 5XX"),
        ("GET /.well-known/jwks.json", "200 400 429 5XX"),
    ],
)
def test_an_operation_tells_every_status_it_answers_with(call: str, statuses: str) -> None:
    assert " ".join(OPERATIONS[call]["responses"]) == statuses


def test_headers_that_are_read_and_answered_are_documented() -> None:
    told = OPERATIONS["POST /agents"]
    assert told["parameters"] == [{"$ref": "#/components/parameters/IdempotencyKey"}]
    headers = {"X-Request-Id", "traceresponse", "RateLimit", "RateLimit-Policy", "ETag"}
    headers |= {"Idempotent-Replayed"}
    assert told["responses"]["201"]["headers"].keys() == headers
    refused = DOCUMENT["components"]["responses"]["429"]
    assert "Retry-After" in refused["headers"]


def test_lists_are_asked_for_page_by_page() -> None:
    for told in OPERATIONS.values():
        schema = told["responses"].get("200", {}).get("content", {}).get("application/json", {})
        if schema.get("schema", {}).get("$ref", "").endswith("Page"):
            names = {each.get("name") for each in told["parameters"]}
            assert {"limit", "nextToken"} <= names


def test_what_is_sent_is_closed_and_what_is_answered_may_grow() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    assert schemas["CreateAgentRequest"]["additionalProperties"] is False
    assert "additionalProperties" not in schemas["Agent"]
    assert "version" not in schemas["Agent"]["properties"]
    assert set(schemas["TaskDetails"]["required"]) == schemas["TaskDetails"]["properties"].keys()
    assert "taskId" not in schemas["Update"]["required"]


def test_it_is_served_to_anybody() -> None:
    with running("auth") as auth:
        answer = auth.request("GET", "/openapi.json")
    assert answer.status == 200
    assert answer.body == DOCUMENT
    assert answer.headers["Cache-Control"] == "public, max-age=300"
