"""Who calls is known to every handler as the authorizer told it."""

from collections.abc import Iterator

import pytest
from common.clock import epoch_in
from common.principals import Principal
from common.quotas import Quotas
from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st

from tests.service import Service, running
from tests.strategies import permissions


@pytest.fixture(scope="module")
def auth() -> Iterator[Service]:
    with running("auth") as service:
        yield service


principals = st.builds(
    Principal,
    user_id=st.text(min_size=1),
    credential_id=st.text(),
    permissions=st.lists(permissions, max_size=5).map(tuple),
    session_id=st.none() | st.text(),
    expires_at=st.none() | st.integers(0, 2**40),
    quotas=st.builds(Quotas, *[st.integers(0, 10**12)] * 5),
)


@given(principal=principals)
def test_property_54_identity_propagation(auth: Service, principal: Principal) -> None:
    """Feature: realtime-agentic-api, Property 54: Identity propagation"""
    answer = auth.request("GET", "/auth/me", by=principal)
    has_expired = principal.expires_at is not None and principal.expires_at <= epoch_in(0)
    note(f"session {principal.session_id is not None}, expired {has_expired}")
    if has_expired:
        assert answer.status == 401
        return
    assert answer.status == 200
    assert answer.body == {
        "userId": principal.user_id,
        "credentialId": principal.credential_id,
        "sessionId": principal.session_id,
        "expiresAt": principal.expires_at,
        "permissions": [
            {"resource": held.resource, "actions": list(held.actions)}
            for held in principal.permissions
        ],
        "quotas": {
            "requestsPerMinute": principal.quotas.requests_per_minute,
            "agents": principal.quotas.agents,
            "activeTasks": principal.quotas.active_tasks,
            "sockets": principal.quotas.sockets,
            "tokensPerDay": principal.quotas.tokens_per_day,
        },
    }
