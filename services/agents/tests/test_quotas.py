"""How many agents a user may have."""

import uuid
from typing import Any

from common.principals import Principal
from common.quotas import Quotas
from hypothesis import given
from hypothesis import strategies as st

from tests.service import Answer, Service, user
from tests.strategies import emptied

AGENT = {
    "name": "helper",
    "configuration": {"llmProvider": "openai", "model": "gpt-5", "tools": []},
}


def with_quota(agents: int, name: str = "ada") -> Principal:
    return user(name, quotas=Quotas(agents=agents))


def create(service: Service, by: Principal, **options: Any) -> Answer:
    return service.request("POST", "/agents", AGENT, by=by, **options)


def delete(service: Service, agent_id: str, by: Principal) -> int:
    return service.request("DELETE", f"/agents/{agent_id}", by=by).status


def live(service: Service, by: Principal) -> list[str]:
    items = service.request("GET", "/agents?limit=100", by=by).body["items"]
    return [agent["id"] for agent in items]


def counted(service: Service, by: Principal) -> int:
    key = {"PK": f"USER#{by.user_id}", "SK": "AGENTS"}
    item = service.table.get_item(Key=key, ConsistentRead=True).get("Item", {"n": 0})
    return int(item["n"])


def test_a_user_has_as_many_agents_as_their_quota_and_no_more(agents: Service) -> None:
    ada = with_quota(2)
    assert [create(agents, ada).status for _ in range(3)] == [201, 201, 429]
    assert len(live(agents, ada)) == counted(agents, ada) == 2


def test_a_refusal_names_the_quota_and_when_to_come_back_and_writes_nothing(
    agents: Service,
) -> None:
    before = agents.rows()
    refused = create(agents, with_quota(0), headers={"Idempotency-Key": "once"})
    assert (refused.status, refused.body["error"]["code"]) == (429, "QuotaExceeded")
    details = refused.body["error"]["details"]
    assert details == {"quota": "agents", "limit": 0, "retryAfterSeconds": 60}
    assert refused.headers["Retry-After"] == "60"
    assert agents.rows() == before == []


def test_who_deletes_an_agent_can_create_another(agents: Service) -> None:
    ada = with_quota(1)
    first = create(agents, ada).body["id"]
    assert create(agents, ada).status == 429
    assert [delete(agents, first, ada), delete(agents, first, ada)] == [204, 404]
    assert [create(agents, ada).status for _ in range(2)] == [201, 429]


def test_nobody_uses_up_what_is_somebody_elses(agents: Service) -> None:
    ada, grace = with_quota(1, "ada"), with_quota(1, "grace")
    assert [create(agents, ada).status for _ in range(2)] == [201, 429]
    assert create(agents, grace).status == 201
    assert delete(agents, live(agents, ada)[0], grace) == 403
    assert [counted(agents, ada), counted(agents, grace)] == [1, 1]


def test_a_repeated_creation_at_the_limit_is_answered_as_before(agents: Service) -> None:
    ada, key = with_quota(1), {"Idempotency-Key": "once"}
    first = create(agents, ada, headers=key)
    assert create(agents, ada).status == 429
    again = create(agents, ada, headers=key)
    assert (again.status, again.body) == (201, first.body)
    assert counted(agents, ada) == 1


def test_a_refused_creation_can_be_repeated_with_its_key(agents: Service) -> None:
    ada, key = with_quota(1), {"Idempotency-Key": "once"}
    first = create(agents, ada).body["id"]
    assert create(agents, ada, headers=key).status == 429
    delete(agents, first, ada)
    assert create(agents, ada, headers=key).status == 201


def test_what_a_user_has_stays_when_their_quota_shrinks(agents: Service) -> None:
    for _ in range(3):
        create(agents, with_quota(3))
    smaller = with_quota(1)
    for expected in (429, 429, 429, 201):
        assert create(agents, smaller).status == expected
        delete(agents, live(agents, smaller)[0], smaller)


@given(
    moves=st.lists(st.tuples(st.booleans(), st.sampled_from(["ada", "grace"])), max_size=12),
    limit=st.integers(0, 3),
)
def test_the_count_is_the_number_of_live_agents_and_never_above_the_limit(
    agents: Service, moves: list[tuple[bool, str]], limit: int
) -> None:
    with emptied(agents):
        for is_creation, name in moves:
            owner = with_quota(limit, name)
            before = live(agents, owner)
            if is_creation:
                expected = 201 if len(before) < limit else 429
                assert create(agents, owner).status == expected
            else:
                doomed = before[0] if before else str(uuid.uuid4())
                assert delete(agents, doomed, owner) == (204 if before else 404)
            assert counted(agents, owner) == len(live(agents, owner)) <= limit
