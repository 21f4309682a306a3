"""What REST says of approvals GraphQL says too, whatever became of them."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.graphql.tests.test_agreement import announced
from tests import agents
from tests.belongings import asked_approval
from tests.service import Service, running

FIELDS = "id agentId taskId step description tool parameters status comment".split()
TIMES = "createdAt expiresAt decidedAt decidedBy".split()
QUERY = f"{{ approvals {{ edges {{ node {{ {' '.join(FIELDS + TIMES)} }} }} }} }}"
FATES = ["pending", "approve", "reject", "expired", "void"]


def asked(tasks: Service, fate: str, comment: str | None) -> None:
    task = tasks.request("POST", "/agents/a1/tasks", {"description": "anything"}).body["id"]
    approval = asked_approval(tasks, {"agent_id": "a1", "task_id": task})
    if fate in ("approve", "reject"):
        decision = {"decision": fate, "comment": comment}
        assert tasks.request("POST", f"/approvals/{approval}", decision).status == 200
    if fate == "expired":
        tasks.call("expire_approval", {"approvalId": approval})
    if fate == "void":
        tasks.call("handle_error", {"taskId": task, "attempt": 1})


@settings(max_examples=10)
@given(
    fates=st.lists(
        st.tuples(st.sampled_from(FATES), st.none() | st.text("né", max_size=9)), min_size=1
    ),
    random=st.randoms(use_true_random=False),
)
def test_rest_and_graphql_agree(fates: list[tuple[str, str | None]], random: Any) -> None:
    with running("tasks") as tasks:
        assert tasks.consume(agents.created("a1")) == []
        for fate, comment in fates[:5]:
            asked(tasks, fate, comment)
        shown = tasks.request("GET", "/approvals").body["items"]
        happened = announced(tasks)
    with running("graphql") as graphql:
        known = graphql.module.consumers.functions  # type: ignore[attr-defined]
        delivered = [event for event in happened if type(event) in known]
        delivered += delivered[:3]
        random.shuffle(delivered)
        assert graphql.consume(*delivered) == []
        answer = graphql.request("POST", "/graphql", {"query": QUERY}).body["data"]
    told = [edge["node"] for edge in answer["approvals"]["edges"]]
    expected = [{name: each[name] for name in FIELDS + TIMES} for each in shown]
    assert told == [each | {"status": each["status"].upper()} for each in expected]
