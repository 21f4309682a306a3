"""The routes: status now, and the updates since."""

import pytest
from common.principals import Permission

from services.status.tests.conftest import Status, progress
from tests.service import user


def test_the_status_of_a_new_agent(status: Status) -> None:
    agent_id = status.agent()
    answer = status.service.request("GET", f"/agents/{agent_id}/status")
    assert answer.status == 200
    assert answer.body.pop("updatedAt")
    assert answer.body | {"updatedAt": ""} == {
        "agentId": agent_id,
        "status": "idle",
        "seq": 1,
        "updatedAt": "",
    }


def test_updates_page_by_page(status: Status) -> None:
    agent_id = status.agent()
    status.service.consume(*(progress(agent_id, step) for step in range(1, 8)))
    seen, after = [], 0
    while True:
        path = f"/agents/{agent_id}/updates?after={after}&limit=3"
        page = status.service.request("GET", path).body
        assert (page["seq"], page["gap"]) == (8, False)
        if not page["items"]:
            break
        seen += [item["seq"] for item in page["items"]]
        after = seen[-1]
    assert seen == list(range(1, 9))


def test_expired_updates_leave_a_gap(status: Status) -> None:
    agent_id = status.agent()
    status.service.consume(*(progress(agent_id, step) for step in range(1, 6)))
    for row in status.rows("UPDATE#"):
        if row["seq"] <= 4:
            status.service.table.put_item(Item=row | {"TTL": 1})
    page = status.service.request("GET", f"/agents/{agent_id}/updates?limit=1").body
    assert ([item["seq"] for item in page["items"]], page["gap"]) == ([5], True)


def test_a_page_is_bounded_by_what_an_answer_can_hold(status: Status, monkeypatch) -> None:
    monkeypatch.setattr(status.service.module.updates, "MAX_PAGE_BYTES", 1000)
    agent_id = status.agent()
    for step in range(1, 4):
        status.service.consume(progress(agent_id, step, description="x" * 2000))
    seqs = []
    while not seqs or seqs[-1] < 4:
        path = f"/agents/{agent_id}/updates?after={seqs[-1] if seqs else 0}"
        items = status.service.request("GET", path).body["items"]
        seqs += [item["seq"] for item in items]
        assert len(items) <= 2
    assert seqs == [1, 2, 3, 4]


@pytest.mark.parametrize("what", ["status", "updates"])
def test_only_the_owner_sees_an_agent(status: Status, what: str) -> None:
    agent_id = status.agent()
    path = f"/agents/{agent_id}/{what}"
    assert status.service.request("GET", path).status == 200
    assert status.service.request("GET", path, by=user("eve")).status == 403
    may_write = user(permissions=(Permission("agents", ("write",)),))
    assert status.service.request("GET", path, by=may_write).status == 403
    assert status.service.request("GET", f"/agents/missing/{what}").status == 404


@pytest.mark.parametrize(
    "query", ["after=-1", "after=x", "after=", "after=1e3", "limit=0", "limit=101", "since=1"]
)
def test_query_parameters_are_checked(status: Status, query: str) -> None:
    path = f"/agents/{status.agent()}/updates?{query}"
    assert status.service.request("GET", path).status == 400
