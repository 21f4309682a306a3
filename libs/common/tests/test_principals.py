import pytest
from common.errors import Forbidden, Unauthenticated
from common.principals import Permission, Principal
from hypothesis import given
from hypothesis import strategies as st

permissions = st.tuples(st.text(), st.lists(st.text(), max_size=3)).map(
    lambda pair: Permission(resource=pair[0], actions=tuple(pair[1]))
)
principals = st.tuples(st.text(min_size=1), st.text(), st.lists(permissions, max_size=4)).map(
    lambda parts: Principal(user_id=parts[0], credential_id=parts[1], permissions=tuple(parts[2]))
)


def holding(resource: str, *actions: str) -> Principal:
    held = Permission(resource=resource, actions=actions)
    return Principal(user_id="ada", credential_id="key", permissions=(held,))


@given(principal=principals)
def test_a_principal_survives_the_authorizer_context(principal: Principal) -> None:
    context = principal.as_authorizer_context()
    assert all(isinstance(value, str) for value in context.values())
    assert Principal.from_authorizer(context) == principal


@pytest.mark.parametrize("context", [None, {}, {"userId": ""}, {"principal": "{}"}])
def test_a_request_without_an_identity_is_unauthenticated(context: dict[str, str] | None) -> None:
    with pytest.raises(Unauthenticated):
        Principal.from_authorizer(context)


@pytest.mark.parametrize(
    "principal",
    [
        holding("agents", "read"),
        holding("agents", "write", "read"),
        holding("agents", "*"),
        holding("*", "read"),
        holding("*", "*"),
    ],
)
def test_a_permission_that_covers_the_action_suffices(principal: Principal) -> None:
    assert principal.require("agents:read") is principal


@pytest.mark.parametrize(
    "principal",
    [
        Principal(user_id="ada", credential_id="key"),
        holding("agents"),
        holding("agents", "write"),
        holding("tasks", "read"),
        holding("agent", "read"),
        holding("agents*", "read"),
        holding("*", "write"),
        holding("AGENTS", "READ"),
    ],
)
def test_without_such_a_permission_the_action_is_forbidden(principal: Principal) -> None:
    with pytest.raises(Forbidden, match="agents:read"):
        principal.require("agents:read")


def test_only_the_owner_passes_the_owner_check() -> None:
    holding("*", "*").require_owner("ada", "Agent 1")
    with pytest.raises(Forbidden, match="Agent 1 belongs to another user"):
        holding("*", "*").require_owner("grace", "Agent 1")
