"""Connections last as long as the credentials that opened them."""

from datetime import timedelta

import pytest
import time_machine
from common.clock import epoch_in
from common.principals import Principal

from services.status.tests.conftest import Status, progress, revoked
from tests.service import user


def holder(session: str | None = None, key: str = "key", **fields: int) -> Principal:
    return Principal("ada", key, user().permissions, session_id=session, **fields)


def test_what_is_revoked_is_closed_and_nothing_else(status: Status) -> None:
    status.connect("session 1", holder("s1"))
    status.connect("session 2", holder("s2"))
    status.connect("the key", holder())
    status.connect("another key", holder(key="other"))
    status.connect("another user", user("grace"))
    status.service.consume(revoked("ada", "key", "s1"))
    assert status.gateway.closed == ["session 1"]
    status.service.consume(revoked("ada", "key"))
    assert sorted(status.gateway.closed) == ["session 1", "session 2", "the key"]
    status.service.consume(revoked("ada"))
    assert "another key" in status.gateway.closed
    assert "another user" not in status.gateway.closed
    assert [row["userId"] for row in status.rows("METADATA")] == ["grace"]


def test_a_closed_connection_hears_nothing_more(status: Status) -> None:
    agent = status.agent()
    status.connect("c1", holder("s1"))
    status.subscribe("c1", agent)
    status.service.consume(revoked("ada", "key", "s1"))
    status.service.consume(progress(agent))
    assert status.gateway.frames("c1") == []
    assert status.rows("SUB#") == []


def test_a_redelivered_revocation_closes_what_a_crash_left_open(status: Status) -> None:
    event = revoked("ada", "key", "s1")
    status.connect("c1", holder("s1"))
    status.gateway.failing.add("c1")
    assert status.service.consume(event) == ["0"]
    status.gateway.failing.clear()
    assert status.service.consume(event) == []
    assert status.gateway.closed == ["c1"]


@pytest.mark.parametrize("event", [revoked("ada", "key", "s1"), revoked("ada", "key")])
def test_a_token_that_the_authorizer_still_believes_opens_nothing(
    status: Status, event: object
) -> None:
    status.service.consume(event)  # type: ignore[arg-type]
    assert status.opened("late", holder("s1")) == {"statusCode": 401}
    assert status.rows("METADATA") == []
    assert status.opened("another", holder("s1", key="other")) == {"statusCode": 200}
    with time_machine.travel(timedelta(seconds=91), tick=True):
        assert status.opened("later", holder("s1")) == {"statusCode": 200}


def test_after_a_change_of_the_user_a_key_connects_at_once(status: Status) -> None:
    """The authorizer looks keys up: what it says of them is new."""
    status.service.consume(revoked("ada"))
    assert status.opened("by key", holder()) == {"statusCode": 200}
    assert status.opened("by token", holder("s1")) == {"statusCode": 401}


class TestExpiry:
    def test_an_expired_connection_is_not_served(self, status: Status) -> None:
        agent = status.agent()
        status.connect("c1", holder("s1", expires_at=epoch_in(60)))
        with time_machine.travel(timedelta(seconds=61), tick=True):
            [answer] = status.subscribe("c1", agent)
        assert answer["error"]["code"] == "Unauthenticated"
        assert status.gateway.closed == ["c1"]
        assert status.rows("METADATA") != [], "the agent stays"

    def test_an_expired_connection_is_closed_instead_of_pushed_to(self, status: Status) -> None:
        agent = status.agent()
        status.connect("short", holder("s1", expires_at=epoch_in(60)))
        status.connect("long", holder())
        for connection in ("short", "long"):
            status.subscribe(connection, agent)
        with time_machine.travel(timedelta(seconds=61), tick=True):
            status.service.consume(progress(agent))
            assert status.gateway.frames("short") == []
            assert [frame["type"] for frame in status.gateway.frames("long")] == ["update"]
        assert status.gateway.closed == ["short"]
        assert {row["connectionId"] for row in status.rows("SUB#")} == {"long"}

    def test_a_silent_connection_is_closed_when_its_time_is_over(self, status: Status) -> None:
        agent = status.agent()
        status.connect("short", holder("s1", expires_at=epoch_in(60)))
        status.connect("long", holder())
        status.subscribe("short", agent)
        assert status.service.call("sweep", {}) == {"ended": 0}
        with time_machine.travel(timedelta(seconds=62), tick=True):
            assert status.service.call("sweep", {}) == {"ended": 1}
            assert status.service.call("sweep", {}) == {"ended": 0}
        assert status.gateway.closed == ["short"]
        assert status.rows("SUB#") == []
        with time_machine.travel(timedelta(hours=2, seconds=2), tick=True):
            status.gateway.failing.add("long")
            assert status.service.call("sweep", {}) == {"ended": 0}
            status.gateway.failing.clear()
            assert status.service.call("sweep", {}) == {"ended": 1}
