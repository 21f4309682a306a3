"""Who calls is known to every handler as the authorizer found out."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from common.clock import timestamp
from common.principals import Permission, Principal
from common.quotas import Quotas
from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st

from tests.door import Door
from tests.service import Service, running
from tests.strategies import permissions

FAR_AWAY = datetime(2100, 1, 1, tzinfo=UTC)

held = st.lists(permissions, max_size=5).map(tuple)
quotas = st.builds(Quotas, *[st.integers(1, 10**6)] * 5)
moments = st.integers(int(FAR_AWAY.timestamp()), 10**10)
principals = st.builds(
    Principal,
    user_id=st.text(min_size=1),
    credential_id=st.text(),
    permissions=held,
    session_id=st.none() | st.text(),
    expires_at=st.none() | moments,
    quotas=quotas,
)


@pytest.fixture(scope="module")
def auth() -> Iterator[Service]:
    with running("auth") as service:
        yield service


@pytest.fixture(scope="module")
def door(auth: Service) -> Door:
    return Door(auth)


def known_to_a_handler(auth: Service, principal: Principal) -> Any:
    answer = auth.request("GET", "/auth/me", by=principal)
    assert answer.status == 200, answer
    return answer.body


@given(principal=principals, granted=held, quotas=quotas, expires=st.none() | moments)
def test_property_54_identity_propagation(
    auth: Service,
    door: Door,
    principal: Principal,
    granted: tuple[Permission, ...],
    quotas: Quotas,
    expires: int | None,
) -> None:
    """Feature: realtime-agentic-api, Property 54: Identity propagation"""
    assert known_to_a_handler(auth, principal) == principal.wire()
    wire = [{"resource": each.resource, "actions": list(each.actions)} for each in granted]
    user_id, _ = door.user(permissions=wire, quotas=quotas.wire())
    until = {"expiresAt": timestamp(datetime.fromtimestamp(expires, UTC))} if expires else {}
    body = {"name": "laptop", "userId": user_id, **until}
    made = auth.request("POST", "/auth/api-keys", body).body
    assert known_to_a_handler(auth, door.principal(f"ApiKey {made['apiKey']}")) == {
        "userId": user_id,
        "credentialId": made["keyId"],
        "sessionId": None,
        "expiresAt": expires,
        "permissions": wire,
        "quotas": quotas.wire(),
    }
    note(f"{len(granted)} permissions, expires: {expires is not None}")
