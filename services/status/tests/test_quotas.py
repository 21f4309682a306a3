"""How many sockets a user may have open."""

from collections.abc import Callable
from typing import Any

import boto3
import pytest
from chalicelib.status.repository import StatusRepository
from common.dynamo import Table
from common.principals import Principal
from common.quotas import Quotas
from hypothesis import given
from hypothesis import strategies as st

from services.status.tests.conftest import Status, progress
from tests.service import user

OPEN, REFUSED = {"statusCode": 200}, {"statusCode": 429}


def with_quota(sockets: int, name: str = "ada") -> Principal:
    return user(name, quotas=Quotas(sockets=sockets))


def repository(status: Status) -> StatusRepository:
    found: StatusRepository = status.service.module.status()
    return found


def connections(status: Status, name: str = "ada") -> list[str]:
    return sorted(each.connection_id for each in repository(status).connections_of(name))


def expire(status: Status, connection_id: str) -> None:
    for row in status.service.rows():
        if row.get("connectionId") == connection_id:
            status.service.table.put_item(Item=row | {"TTL": 1})


def test_a_user_opens_as_many_sockets_as_their_quota(status: Status) -> None:
    ada = with_quota(2)
    assert [status.opened(f"c{n}", ada) for n in range(3)] == [OPEN, OPEN, REFUSED]
    assert connections(status) == ["c0", "c1"]


def test_a_refused_socket_leaves_nothing(status: Status) -> None:
    assert status.opened("c1", with_quota(0)) == REFUSED
    assert status.service.rows() == []


def test_a_closed_socket_makes_room(status: Status) -> None:
    ada = with_quota(1)
    status.opened("c1", ada)
    for _ in range(2):
        status.disconnect("c1")
    assert connections(status) == []
    assert [status.opened(name, ada) for name in ("c2", "c3")] == [OPEN, REFUSED]


def test_a_socket_that_is_gone_makes_room(status: Status) -> None:
    ada, agent_id = with_quota(1), status.agent()
    status.opened("c1", ada)
    status.subscribe("c1", agent_id)
    status.gateway.gone.add("c1")
    status.service.consume(progress(agent_id))
    assert status.opened("c2", ada) == OPEN


def test_a_socket_whose_time_is_over_makes_room(status: Status) -> None:
    ada = with_quota(1)
    status.opened("c1", ada)
    expire(status, "c1")
    assert status.opened("c2", ada) == OPEN
    assert connections(status) == ["c2"]


def test_nobody_uses_up_what_is_somebody_elses(status: Status) -> None:
    ada, grace = with_quota(1, "ada"), with_quota(1, "grace")
    assert [status.opened(*each) for each in (("a1", ada), ("g1", grace), ("a2", ada))] == [
        OPEN,
        OPEN,
        REFUSED,
    ]
    status.disconnect("g1")
    assert (connections(status, "ada"), connections(status, "grace")) == (["a1"], [])


def test_a_users_connections_are_told_with_what_they_were_opened_with(status: Status) -> None:
    ada = with_quota(3)
    status.opened("c1", ada)
    (connection,) = repository(status).connections_of("ada")
    assert connection == repository(status).connection("c1")
    assert (connection.connection_id, connection.principal) == ("c1", ada)


@given(
    moves=st.lists(st.tuples(st.sampled_from(["open", "close", "expire"]), st.integers(0, 4))),
    limit=st.integers(0, 3),
)
def test_what_is_open_is_what_was_let_in_and_never_above_the_limit(
    status: Status, moves: list[tuple[str, int]], limit: int
) -> None:
    for name in connections(status):
        status.disconnect(name)
    ada, live = with_quota(limit), set[str]()
    for move, number in moves:
        name = f"c{number}"
        if move == "open" and name not in live:
            expected = OPEN if len(live) < limit else REFUSED
            assert status.opened(name, ada) == expected
            live |= {name} if expected == OPEN else set()
        elif move == "close":
            status.disconnect(name)
            live -= {name}
        elif move == "expire":
            expire(status, name)
            live -= {name}
        assert connections(status) == sorted(live)


@pytest.fixture
def meanwhile(status: Status, monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Does something between the next look at the user's connections and what is decided on it."""

    def arrange(act: Callable[[], object]) -> None:
        client, pending = boto3.client("dynamodb"), [act]

        def interrupt(**_: object) -> None:
            if pending:
                pending.pop()()

        client.meta.events.register("after-call.dynamodb.Query", interrupt)
        racing = StatusRepository(Table(client, status.service.table.name))
        monkeypatch.setattr(status.service.module, "status", lambda: racing)

    return arrange


def test_two_sockets_at_once_do_not_both_get_the_last_place(
    status: Status, meanwhile: Callable[[Any], None]
) -> None:
    ada = with_quota(1)
    raced: list[object] = []
    meanwhile(lambda: raced.append(status.opened("faster", ada)))
    assert status.opened("slower", ada) == REFUSED
    assert raced == [OPEN]
    assert connections(status) == ["faster"]
