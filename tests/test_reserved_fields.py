"""No body can set what is the server's: a field that an operation does not document is refused."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from tests import belongings
from tests.operations import (
    FREE_FORM,
    SERVICES,
    WITH_BODY,
    body_of,
    operations,
    path_of,
)
from tests.service import Service, running
from tests.strategies import emptied

RESERVED = (
    *("id", "agentId", "taskId", "userId", "ownerId", "user_id", "llm_provider", "expires_at"),
    *("status", "createdAt", "updatedAt", "version", "revision", "attempt", "result"),
    *("permissions", "quotas", "correlationId", "activeTasks", "secretHash"),
    *("PK", "SK", "GSI1PK", "GSI1SK", "TTL"),
    *("__proto__", "constructor", "__class__"),
)
"""What rows, answers and languages have of their own. The examples show what is documented."""

Place = tuple[str | int, ...]


@pytest.fixture(scope="module", params=SERVICES)
def any_service(request: pytest.FixtureRequest) -> Iterator[Service]:
    with running(request.param) as service:
        yield service


def places(body: Any, at: Place = ()) -> Iterator[Place]:
    """Where there are objects in a body whose members the operation knows."""
    if isinstance(body, dict):
        yield at
        for name, value in body.items():
            if name not in FREE_FORM:
                yield from places(value, (*at, name))
    elif isinstance(body, list):
        for index, value in enumerate(body):
            yield from places(value, (*at, index))


def intruded(body: Any) -> Iterator[tuple[str, Any]]:
    """The body with one member too many, and the path of that member."""
    for place in places(body):
        for name in RESERVED:
            changed = copy.deepcopy(body)
            members = changed
            for step in place:
                members = members[step]
            if name not in members:
                members[name] = "intruder"
                yield ".".join(map(str, (*place, name))), changed


def test_a_reserved_field_is_refused_by_its_name(any_service: Service) -> None:
    with emptied(any_service):
        ids = belongings.of_a_user(any_service)
        owner, before = belongings.owner(ids), any_service.rows()
        for operation in operations(any_service.name):
            path, body = path_of(operation, ids), body_of(operation, ids)
            for field, changed in intruded(body):
                answer = any_service.request(operation.method, path, changed, by=owner)
                about = f"{operation.name} with {field}: {answer.text}"
                assert answer.status == 400, about
                refused = answer.body["error"]["details"]["fields"]
                assert field in [each["field"] for each in refused], about
        assert any_service.rows() == before


def test_the_examples_themselves_are_accepted(any_service: Service) -> None:
    """Else the refusals above would say nothing."""
    for operation in operations(any_service.name):
        if operation.method in WITH_BODY:
            with emptied(any_service):
                ids = belongings.of_a_user(any_service)
                path, body = path_of(operation, ids), body_of(operation, ids)
                by = belongings.owner(ids)
                answer = any_service.request(operation.method, path, body, by=by)
                assert answer.status in (200, 201, 202, 204), (operation.name, answer)
