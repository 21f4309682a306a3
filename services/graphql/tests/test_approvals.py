"""What agents ask people about: read as their tasks told of it, decided by the tasks service."""

from itertools import permutations

import pytest
from common.events.approvals import ApprovalDecidedV1, ApprovalRequestedV1, ApprovalVoidedV1
from common.events.requests import RequestRejectedV1
from common.events.tasks import TaskCreatedV1
from common.principals import Permission

from services.graphql.tests.test_reads import reads
from tests import agents
from tests.service import user

BOB = user("bob")
PAGE = "edges { cursor node { id } } pageInfo { hasNextPage } nextToken"


def at(second):
    return f"2026-01-01T00:00:{second:02d}.000Z"


def about(task, version, owner="ada"):
    of_agent = {"t": "a1", "u": "a2", "b": "b1"}[task[0]]
    ids = {"task_id": task, "agent_id": of_agent, "aggregate_id": task}
    return ids | {"user_id": owner, "aggregate_version": version, "timestamp": at(version)}


def task(name, owner="ada"):
    return TaskCreatedV1(description="do", **about(name, 1, owner))


def asked(id, of, version=2, owner="ada", **fields):
    shown = {"step": "step-001", "description": "call it", "expires_at": at(59)} | fields
    return ApprovalRequestedV1(approval_id=id, **shown, **about(of, version, owner))


def decided(id, of, decision, version=9, **fields):
    return ApprovalDecidedV1(approval_id=id, decision=decision, **about(of, version) | fields)


@pytest.fixture
def graphql(service):
    running = service("graphql")
    running.consume(agents.created("a1"), agents.created("a2"), agents.created("b1", "bob"))
    running.consume(task("t1"), task("t2"), task("u1"), task("b1", "bob"))
    return running


def ask(graphql, query, by=None, **how):
    answer = graphql.request("POST", "/graphql", {"query": query}, by=by, **how)
    assert answer.status == 200, answer
    return answer.body


def refusal(answer):
    (error,) = answer["errors"]
    return error["extensions"]["code"]


def ids(graphql, arguments="", by=None):
    named = f"approvals({arguments})" if arguments else "approvals"
    answer = ask(graphql, f"{{ {named} {{ {PAGE} }} }}", by)
    return [edge["node"]["id"] for edge in answer["data"]["approvals"]["edges"]]


def test_an_approval_is_what_was_asked_and_what_was_said(graphql):
    graphql.consume(asked("p1", "t1", tool="lookup", parameters={"a_b": 1.5}))
    graphql.consume(decided("p1", "t1", "rejected", comment="too dear"))
    query = """{ approval(id: "p1") { id agentId taskId step description tool parameters
      parametersOmitted status comment createdAt expiresAt decidedAt decidedBy
      agent { id } task { id } } }"""
    assert ask(graphql, query)["data"]["approval"] == {
        "id": "p1",
        "agentId": "a1",
        "taskId": "t1",
        "step": "step-001",
        "description": "call it",
        "tool": "lookup",
        "parameters": {"a_b": 1.5},
        "parametersOmitted": False,
        "status": "REJECTED",
        "comment": "too dear",
        "createdAt": at(2),
        "expiresAt": at(59),
        "decidedAt": at(9),
        "decidedBy": "ada",
        "agent": {"id": "a1"},
        "task": {"id": "t1"},
    }


def test_parameters_that_were_too_large_for_the_event_are_said_to_be_left_out(graphql):
    graphql.consume(asked("p1", "t1", tool="lookup"), asked("p2", "t1", version=3))
    query = "{ approvals { edges { node { id parameters parametersOmitted } } } }"
    shown = [edge["node"] for edge in ask(graphql, query)["data"]["approvals"]["edges"]]
    assert shown == [
        {"id": "p2", "parameters": None, "parametersOmitted": False},
        {"id": "p1", "parameters": None, "parametersOmitted": True},
    ]


HISTORY = [
    asked("p1", "t1", 2),
    decided("p1", "t1", "approved", 3),
    asked("p2", "t1", 4),
    ApprovalVoidedV1(approval_id="p2", **about("t1", 5)),
]


def test_every_order_ends_in_the_same_rows(graphql):
    def kept():
        shown = [r for r in graphql.rows() if r["SK"] == "METADATA" or "APPROVAL#" in r["SK"]]
        return sorted(shown, key=lambda row: (row["PK"], row["SK"]))

    before = kept()
    ends = []
    for order in permutations(HISTORY):
        assert graphql.consume(*order, order[0]) == []
        ends.append(kept())
        for row in graphql.rows():
            graphql.table.delete_item(Key={"PK": row["PK"], "SK": row["SK"]})
        for row in before:
            graphql.table.put_item(Item=row)
    assert all(end == ends[0] for end in ends)
    assert len(ends[0]) == len(before) + 4


def test_lists_are_by_agent_task_and_status(graphql):
    graphql.consume(asked("p1", "t1", 2), asked("p2", "t2", 3), asked("p3", "u1", 4))
    graphql.consume(asked("p4", "u1", 5), asked("p9", "b1", 6, owner="bob"))
    graphql.consume(decided("p2", "t2", "approved"), decided("p3", "u1", "expired"))
    assert ids(graphql) == ["p4", "p3", "p2", "p1"]
    assert ids(graphql, "status: PENDING") == ["p4", "p1"]
    assert ids(graphql, "status: APPROVED") == ["p2"]
    assert ids(graphql, "status: VOID") == []
    assert ids(graphql, 'agentId: "a1"') == ["p2", "p1"]
    assert ids(graphql, 'agentId: "a2", status: EXPIRED') == ["p3"]
    assert ids(graphql, 'agentId: "a2", status: PENDING') == ["p4"]
    assert ids(graphql, 'taskId: "t1"') == ids(graphql, 'agentId: "a1", taskId: "t1"') == ["p1"]
    assert ids(graphql, by=BOB) == ids(graphql, "status: PENDING", by=BOB) == ["p9"]


@pytest.mark.parametrize("arguments", ["", "status: PENDING", 'agentId: "a1"', "status: APPROVED"])
def test_pages_go_on_where_the_one_before_ended(graphql, arguments):
    for number in range(5):
        graphql.consume(asked(f"p{number}", "t1", 10 + number))
        graphql.consume(asked(f"x{number}", "t1", 30 + number))
        if "APPROVED" in arguments:
            graphql.consume(decided(f"p{number}", "t1", "approved", 50))
        graphql.consume(decided(f"x{number}", "t1", "rejected", 50))
    wanted = set(ids(graphql, ", ".join(filter(None, (arguments, "limit: 100")))))
    seen, token = [], None
    while token or not seen:
        after = f'nextToken: "{token}"' if token else ""
        told = ", ".join(filter(None, (arguments, "limit: 2", after)))
        page = ask(graphql, f"{{ approvals({told}) {{ {PAGE} }} }}")["data"]["approvals"]
        seen += [edge["node"]["id"] for edge in page["edges"]]
        token = page["nextToken"]
        assert page["pageInfo"]["hasNextPage"] == (token is not None)
        if token:
            other = f'{{ approvals(taskId: "t1", nextToken: "{token}") {{ nextToken }} }}'
            assert refusal(ask(graphql, other)) == "Invalid"
    assert len(seen) == len(set(seen)) in (5, 10)
    assert set(seen) == wanted


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ('approval(id: "p9") { id }', "Forbidden"),
        ('approvals(agentId: "b1") { nextToken }', "Forbidden"),
        ('approvals(taskId: "b1") { nextToken }', "Forbidden"),
        ('approvals(agentId: "none") { nextToken }', "NotFound"),
        ('approvals(taskId: "none") { nextToken }', "NotFound"),
        ('approvals(agentId: "a2", taskId: "t1") { nextToken }', "NotFound"),
        ("approvals(limit: 101) { nextToken }", "Invalid"),
        ("approvals(status: PERHAPS) { nextToken }", "Invalid"),
    ],
)
def test_what_may_not_be_seen_or_is_not_there(graphql, query, code):
    graphql.consume(asked("p9", "b1", owner="bob"))
    assert refusal(ask(graphql, f"{{ {query} }}")) == code
    assert ask(graphql, '{ approval(id: "none") { id } }') == {"data": {"approval": None}}


def test_approvals_of_many_tasks_are_one_read(graphql):
    graphql.consume(asked("p1", "t1", 2), asked("p2", "t1", 3), asked("p3", "t2", 2))
    graphql.consume(decided("p1", "t1", "approved"))
    query = """{ tasks(agentId: "a1") { edges { node {
      id approvals { id task { id } } waiting: approvals(status: PENDING) { id } } } } }"""
    with reads() as made:
        answer = ask(graphql, query)
    shown = {edge["node"]["id"]: edge["node"] for edge in answer["data"]["tasks"]["edges"]}
    assert [each["id"] for each in shown["t1"]["approvals"]] == ["p1", "p2"]
    assert shown["t1"]["waiting"] == [{"id": "p2"}]
    assert shown["t2"]["approvals"] == [{"id": "p3", "task": {"id": "t2"}}]
    assert sorted(made) == ["BatchGetItem", "BatchGetItem", "Query"]


DECISIONS = {"approveApproval": "approve", "rejectApproval": "reject"}
KEY = {"headers": {"idempotency-key": "k"}}


@pytest.mark.parametrize("field", DECISIONS)
def test_a_decision_is_handed_to_the_tasks_service_once(graphql, field):
    graphql.consume(asked("p1", "t1"))
    mutation = f'mutation {{ it: {field}(id: "p1", comment: "so") {{ id status comment }} }}'
    for _ in range(2):
        assert refusal(ask(graphql, mutation, **KEY)) == "StillInProgress"
    (event,) = graphql.outbox()
    assert event["detail-type"] == "ApprovalDecisionRequested"
    told = event["detail"]
    assert (told["approvalId"], told["aggregateId"]) == ("p1", "p1")
    assert told["input"] == {"decision": DECISIONS[field], "comment": "so"}
    how = {"approve": "approved", "reject": "rejected"}[DECISIONS[field]]
    caused = decided("p1", "t1", how, comment="so", causation_id=told["eventId"])
    assert graphql.consume(caused) == []
    expected = {"id": "p1", "status": how.upper(), "comment": "so"}
    assert ask(graphql, mutation, **KEY) == {"data": {"it": expected}}


def test_a_decision_that_came_too_late_is_refused_in_the_owners_words(graphql):
    graphql.consume(asked("p1", "t1"))
    mutation = 'mutation { it: approveApproval(id: "p1") { id } }'
    ask(graphql, mutation, **KEY)
    (event,) = graphql.outbox()
    why = {"code": "ApprovalDecided", "message": "expired", "details": {"status": "expired"}}
    id = event["detail"]["eventId"]
    refused = RequestRejectedV1(user_id="ada", aggregate_id=id, aggregate_version=1, **why)
    graphql.consume(decided("p1", "t1", "expired"), refused)
    assert refusal(ask(graphql, mutation, **KEY)) == "ApprovalDecided"


@pytest.mark.parametrize("field", DECISIONS)
def test_who_may_not_decide_asks_nobody(graphql, field):
    graphql.consume(asked("p1", "t1"))
    mutation = f'mutation {{ it: {field}(id: "%s") {{ id }} }}'
    reader = user(permissions=(Permission("*", ("read",)),))
    assert refusal(ask(graphql, mutation % "p1", BOB)) == "Forbidden"
    assert refusal(ask(graphql, mutation % "p1", reader)) == "Forbidden"
    assert refusal(ask(graphql, mutation % "a/b")) == "NotFound"
    assert graphql.outbox() == []
