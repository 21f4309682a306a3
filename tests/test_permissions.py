"""Every operation of every service: who may call it, and what they are told who may not."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from common.operations import Operation
from common.principals import (
    ACTIONS,
    ANY,
    OPERATORS_RESOURCES,
    RESOURCES,
    Permission,
    Principal,
)
from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st

from tests import belongings
from tests.operations import (
    SERVICES,
    Ids,
    RootField,
    body_of,
    names_an_object,
    path_of,
    root_fields,
)
from tests.service import Service, running, user
from tests.strategies import emptied, permissions, some_actions

STRANGER = user(
    "mallory",
    tuple(Permission(each, (ANY,)) for each in RESOURCES if each not in OPERATORS_RESOURCES),
)
"""Who may do everything but what is for operators alone, who may look after other users."""


class Inhabited:
    """A service in which a user has one of everything, as long as nobody changes it."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.ids: Ids = {}
        self._rows: list[dict[str, Any]] = []
        self.restore()

    def restore(self) -> None:
        with emptied(self.service):
            self.ids = belongings.of_a_user(self.service)
        self._rows = self.service.rows()

    @property
    def is_unchanged(self) -> bool:
        return self.service.rows() == self._rows


@pytest.fixture(scope="module", params=SERVICES)
def inhabited(request: pytest.FixtureRequest) -> Iterator[Inhabited]:
    with running(request.param) as service:
        yield Inhabited(service)


class Call(NamedTuple):
    """An operation or a field of GraphQL with the ids of a user's own; `by` tells the error."""

    name: str
    scope: str | None
    names_an_object: bool
    changes: bool
    by: Callable[[Principal], dict[str, Any] | None]


def calls(inhabited: Inhabited) -> list[Call]:
    service, ids = inhabited.service, inhabited.ids
    declared = [each for each in service.module.app.operations if not each.public]
    fields = root_fields() if service.name == "graphql" else []
    return [_operation(service, each, ids) for each in declared] + [
        _field(service, each, ids) for each in fields
    ]


def _operation(service: Service, operation: Operation, ids: Ids) -> Call:
    def by(principal: Principal) -> dict[str, Any] | None:
        path, body = path_of(operation, ids), body_of(operation, ids)
        answer = service.request(operation.method, path, body, by=principal)
        if answer.status < 400:
            return None
        error: dict[str, Any] = answer.body["error"]
        assert (answer.status == 403) == (error["code"] == "Forbidden")
        return error

    return Call(
        operation.name, operation.scope, names_an_object(operation), operation.method != "GET", by
    )


def _field(service: Service, field: RootField, ids: Ids) -> Call:
    def by(principal: Principal) -> dict[str, Any] | None:
        asked = {"query": field.document(ids)}
        answer = service.request("POST", "/graphql", asked, by=principal).body
        if "errors" not in answer or _is_accepted(answer):
            return None
        assert not (answer["data"] or {}).get("it")
        error: dict[str, Any] = answer["errors"][0]["extensions"]
        return error

    return Call(field.name, field.scope, bool(field.parameters), field.kind == "mutation", by)


def _is_accepted(answer: dict[str, Any]) -> bool:
    """A mutation was handed to the owner of what it is about, who is not there to carry it out."""
    return bool(answer["errors"][0]["extensions"]["code"] == "StillInProgress")


def covering(scope: str) -> st.SearchStrategy[Permission]:
    """Permissions that are enough for the scope."""
    resource, _, action = scope.partition(":")
    actions = st.tuples(some_actions, st.sampled_from([action, ANY])).map(lambda a: (*a[0], a[1]))
    return st.builds(Permission, st.sampled_from([resource, ANY]), actions)


def lacking(scope: str) -> st.SearchStrategy[tuple[Permission, ...]]:
    """Permissions that are not enough, however many: of other resources, or for other actions."""
    resource, _, action = scope.partition(":")
    elsewhere = st.sampled_from([each for each in RESOURCES if each != resource])
    otherwise = st.sampled_from([(each,) for each in ACTIONS if each != action])
    short = st.builds(Permission, elsewhere, some_actions) | st.builds(
        Permission, st.sampled_from([resource, ANY]), otherwise
    )
    return st.lists(short, max_size=4).map(tuple)


def test_every_scope_is_one_that_can_be_granted(inhabited: Inhabited) -> None:
    """A misspelt one would close the operation to everybody."""
    scopes = {call.scope for call in calls(inhabited) if call.scope}
    assert scopes <= {f"{resource}:{action}" for resource in RESOURCES for action in ACTIONS}


@given(data=st.data())
def test_property_55_permission_verification(inhabited: Inhabited, data: st.DataObject) -> None:
    """Feature: realtime-agentic-api, Property 55: Permission verification"""
    call = data.draw(st.sampled_from(calls(inhabited)), label="call")
    if call.scope is None:
        held = data.draw(st.lists(permissions, max_size=4).map(tuple))
    else:
        held = data.draw(lacking(call.scope))
        error = call.by(belongings.owner(inhabited.ids, held))
        assert error
        assert error["code"] == "Forbidden"
        held = (*held, data.draw(covering(call.scope)))
    assert call.by(belongings.owner(inhabited.ids, held)) is None
    if call.changes:
        inhabited.restore()
    note(f"{call.name} needs {call.scope}")


@given(data=st.data())
def test_property_56_authorization_failure_response(
    inhabited: Inhabited, data: st.DataObject
) -> None:
    """Feature: realtime-agentic-api, Property 56: Authorization failure response"""
    guarded = [call for call in calls(inhabited) if call.scope]
    owned = [call for call in guarded if call.names_an_object]
    call = data.draw(st.sampled_from(guarded), label="call")
    short = belongings.owner(inhabited.ids, data.draw(lacking(call.scope or "")))
    errors = [call.by(short)]
    if owned:
        foreign = data.draw(st.sampled_from(owned), label="on an object of another user")
        errors.append(foreign.by(STRANGER))
    for error in errors:
        assert error
        assert {"code", "message", "requestId", "timestamp"} <= error.keys()
        assert error["code"] == "Forbidden"
        assert error["message"]
    assert inhabited.is_unchanged
    note(f"{call.name} refused; another user's object refused: {bool(owned)}")
