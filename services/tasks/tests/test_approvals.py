"""A person agrees to exactly what is done, and the waiting ends in one way."""

from collections.abc import Iterator
from typing import Any

import pytest
import time_machine

from infra.tests.simulator_client import PROVIDERS, Simulator
from services.tasks.tests.workbench import ADA, Workbench, calls, planned, thinks, tool, uses
from tests.service import Service, user

pytestmark = pytest.mark.filterwarnings("ignore:Native structured output")
POLICY = {"tools": ["lookup"]}
SCRIPT = (
    planned(thinks()),
    calls(("lookup", {"n": 1}), ("lookup", {"n": 2})),
    {"text": "three"},
    {"text": "done"},
)


class Waiting:
    """The machine's side: what was woken, with what."""

    def __init__(self) -> None:
        self.woken: list[tuple[str, str]] = []

    def wake(self, token: str, outcome: str) -> None:
        self.woken.append((token, outcome))


@pytest.fixture
def waiting(tasks: Service) -> Iterator[Waiting]:
    waits, before = Waiting(), tasks.module.executions  # type: ignore[attr-defined]
    tasks.module.executions = lambda: waits  # type: ignore[attr-defined]
    yield waits
    tasks.module.executions = before  # type: ignore[attr-defined]


def bench_of(tasks: Service, simulator: Simulator, **configuration: Any) -> Workbench:
    fields = {"tools": [tool("lookup")], "approvalPolicy": POLICY} | configuration
    return Workbench(tasks, simulator, *SCRIPT, **fields)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_each_call_is_asked_for_and_made_once(
    tasks: Service, simulator: Simulator, provider: str
) -> None:
    bench = bench_of(tasks, simulator, llmProvider=provider)
    task = bench.run()
    (first,) = bench.approvals()
    assert (task["status"], task["waitingFor"]) == ("running", first["id"])
    assert task["plan"]["steps"][0]["status"] == "waiting"
    assert (first["tool"], first["parameters"], first["step"]) == ("lookup", {"n": 1}, "step-001")
    assert bench.toolbox.calls == []
    assert bench.decide("approve").status == 200
    assert bench.run()["status"] == "running"
    assert len(bench.toolbox.calls) == 1, "the second call is another wish"
    assert bench.decide("approve").status == 200
    assert bench.run()["status"] == "completed"
    assert [each["parameters"]["n"] for each in bench.toolbox.calls] == [1, 2]
    assert len(bench.asked()) == 4
    assert len(bench.announced("ApprovalRequested")) == 2
    assert len(bench.announced("ApprovalDecided")) == 2


def test_a_step_that_runs_again_asks_once(tasks: Service, simulator: Simulator) -> None:
    bench = bench_of(tasks, simulator)
    bench.run()
    assert bench.step() == "waiting"
    assert len(bench.approvals()) == len(bench.announced("ApprovalRequested")) == 1


def test_a_refusal_is_told_to_the_model_with_its_comment(
    tasks: Service, simulator: Simulator
) -> None:
    bench = bench_of(tasks, simulator)
    bench.run()
    bench.decide("reject", "far too dear")
    bench.run()
    bench.decide("approve")
    assert bench.run()["status"] == "completed"
    assert [each["parameters"]["n"] for each in bench.toolbox.calls] == [2]
    assert "far too dear" in str(bench.asked()[2]["body"])
    assert [each["status"] for each in bench.invocations()] == ["failed", "succeeded"]


def test_a_planned_call_is_asked_for_too(tasks: Service, simulator: Simulator) -> None:
    step = uses("lookup", parameters={"n": 5})
    fields = {"tools": [tool("lookup")], "approvalPolicy": POLICY}
    bench = Workbench(tasks, simulator, planned(step), **fields)
    bench.run()
    bench.decide("reject", "no")
    task = bench.run()
    assert task["status"] == "completed"
    assert "A person refused this: no" in task["plan"]["steps"][0]["output"]
    assert bench.toolbox.calls == []


@pytest.mark.parametrize("by", ["policy", "plan"])
@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_a_whole_step_can_need_a_person(
    tasks: Service, simulator: Simulator, by: str, decision: str
) -> None:
    policy = {"approvalPolicy": {"steps": ["response"]}} if by == "policy" else {}
    step = {"type": "response", "description": "a", "answer": "done", "needsApproval": by == "plan"}
    bench = Workbench(tasks, simulator, planned(step), **policy)
    assert bench.run()["waitingFor"]
    bench.decide(decision, "because")
    task = bench.run()
    if decision == "approve":
        assert (task["status"], task["result"]) == ("completed", "done")
    else:
        assert task["error"]["code"] == "APPROVAL_REJECTED"
        assert "because" in task["error"]["message"]


def test_only_its_owner_decides_and_only_once(tasks: Service, simulator: Simulator) -> None:
    bench = bench_of(tasks, simulator)
    bench.run()
    (approval,) = bench.approvals()
    path = f"/approvals/{approval['id']}"
    for method, body in (("GET", None), ("POST", {"decision": "approve"})):
        assert tasks.request(method, path, body, by=user("bob")).status == 403
    assert tasks.request("GET", "/approvals", by=user("bob")).body["items"] == []
    assert tasks.request("GET", "/approvals/none", by=ADA).status == 404
    assert bench.decide("reject").status == 200
    again = tasks.request("POST", path, {"decision": "approve"}, by=ADA)
    assert (again.status, again.body["error"]["details"]) == (409, {"status": "rejected"})


@pytest.mark.parametrize("body", [{}, {"decision": "perhaps"}, {"decision": "approve", "x": 1}])
def test_a_decision_that_is_none_is_refused(
    tasks: Service, simulator: Simulator, body: object
) -> None:
    bench = bench_of(tasks, simulator)
    bench.run()
    (approval,) = bench.approvals()
    assert tasks.request("POST", f"/approvals/{approval['id']}", body, by=ADA).status == 400


def test_a_decision_comes_again_with_its_key(tasks: Service, simulator: Simulator) -> None:
    bench = bench_of(tasks, simulator)
    bench.run()
    (approval,) = bench.approvals()
    path, key = f"/approvals/{approval['id']}", {"Idempotency-Key": "one"}
    first, second = (
        tasks.request("POST", path, {"decision": "approve"}, by=ADA, headers=key) for _ in range(2)
    )
    assert first.status == second.status == 200
    assert first.body == second.body
    assert len(bench.announced("ApprovalDecided")) == 1


def test_nobody_decides_after_the_time_is_over(
    tasks: Service, simulator: Simulator, waiting: Waiting
) -> None:
    bench = bench_of(tasks, simulator, approvalPolicy=POLICY | {"expiresAfterSeconds": 60})
    bench.run()
    (approval,) = bench.approvals()
    with time_machine.travel(approval["expiresAt"]):
        assert bench.decide("approve").status == 409
    (expired,) = bench.approvals()
    assert expired["status"] == "expired"
    assert bench.run()["error"]["code"] == "APPROVAL_EXPIRED"
    assert bench.post("/retry").status == 200
    assert bench.run()["waitingFor"] not in (None, approval["id"]), "another attempt asks anew"


def test_expiry_and_a_decision_end_the_waiting_in_one_way(
    tasks: Service, simulator: Simulator
) -> None:
    bench = bench_of(tasks, simulator)
    bench.run()
    (approval,) = bench.approvals()
    bench.decide("approve")
    tasks.call("expire_approval", {"approvalId": approval["id"]})
    assert [each["status"] for each in bench.approvals()] == ["approved"]
    assert len(bench.announced("ApprovalDecided")) == 1


@pytest.mark.parametrize("first", ["decision", "token"])
def test_a_decision_wakes_the_workflow_whichever_comes_first(
    tasks: Service, simulator: Simulator, waiting: Waiting, first: str
) -> None:
    bench = bench_of(tasks, simulator)
    bench.run()
    (approval,) = bench.approvals()
    asked = {"approvalId": approval["id"], "token": "t1"}
    if first == "token":
        tasks.call("await_approval", asked)
        assert waiting.woken == []
    bench.decide("approve")
    if first == "decision":
        tasks.call("await_approval", asked)
    decided = decided_event(tasks, bench)
    assert tasks.consume(decided, decided) == []
    assert set(waiting.woken) == {("t1", "approved")}


def test_cancelling_ends_the_waiting(
    tasks: Service, simulator: Simulator, waiting: Waiting
) -> None:
    from common.events.tasks import TaskCancelledV1

    bench = bench_of(tasks, simulator)
    bench.run()
    (approval,) = bench.approvals()
    tasks.call("await_approval", {"approvalId": approval["id"], "token": "t1"})
    assert bench.post("/cancel").status == 200
    (cancelled,) = bench.announced("TaskCancelled")
    assert tasks.consume(TaskCancelledV1.model_validate(cancelled)) == []
    assert waiting.woken == [("t1", "void")]
    (void,) = bench.approvals()
    assert void["status"] == "void"
    (announced,) = bench.announced("ApprovalVoided")
    told = announced["approvalId"], announced["timestamp"]
    assert told == (approval["id"], void["decidedAt"])
    assert bench.step() == "skipped"
    answer = tasks.request("POST", f"/approvals/{approval['id']}", {"decision": "approve"}, by=ADA)
    assert answer.status == 409


def test_a_task_that_broke_off_is_waited_for_no_more(tasks: Service, simulator: Simulator) -> None:
    bench = bench_of(tasks, simulator)
    bench.run()
    assert bench.state("handle_error") == {"outcome": "failed"}
    assert [each["status"] for each in bench.approvals()] == ["void"]
    assert bench.get()["error"]["code"] == "EXECUTION_FAILED"


def requested(approval_id: str, by: str = "ada", **wanted: Any) -> Any:
    """As GraphQL hands a decision over."""
    from common.events.requests import ApprovalDecisionRequestedV1

    return ApprovalDecisionRequestedV1(
        approval_id=approval_id,
        input=wanted,
        caller=user(by).as_authorizer_context(),
        user_id=by,
        aggregate_id=approval_id,
        aggregate_version=0,
    )


def test_a_decision_that_was_requested_is_made_once(tasks: Service, simulator: Simulator) -> None:
    bench = bench_of(tasks, simulator)
    bench.run()
    (approval,) = bench.approvals()
    request = requested(approval["id"], decision="reject", comment="far too dear")
    assert tasks.consume(request, request) == []
    (after,) = bench.approvals()
    assert (after["status"], after["comment"]) == ("rejected", "far too dear")
    (decided,) = bench.announced("ApprovalDecided")
    assert (decided["causationId"], decided["timestamp"]) == (request.event_id, after["decidedAt"])


@pytest.mark.parametrize(
    ("by", "wanted", "code"),
    [
        ("bob", {"decision": "approve"}, "Forbidden"),
        ("ada", {"decision": "perhaps"}, "Invalid"),
        ("ada", {"decision": "approve", "comment": "x" * 2001}, "Invalid"),
    ],
)
def test_a_request_that_may_not_be_is_rejected(
    tasks: Service, simulator: Simulator, by: str, wanted: Any, code: str
) -> None:
    bench = bench_of(tasks, simulator)
    bench.run()
    (approval,) = bench.approvals()
    assert tasks.consume(requested(approval["id"], by, **wanted)) == []
    assert [each["status"] for each in bench.approvals()] == ["pending"]
    (rejected,) = rejections(tasks)
    assert rejected["code"] == code


@pytest.mark.parametrize("ended_by", ["time", "cancellation"])
def test_a_request_that_comes_too_late_is_rejected_and_closes_what_it_finds(
    tasks: Service, simulator: Simulator, ended_by: str
) -> None:
    """The closing is no effect of the request: who asked must hear that nothing came of it."""
    bench = bench_of(tasks, simulator)
    bench.run()
    (approval,) = bench.approvals()
    at = approval["expiresAt"] if ended_by == "time" else approval["createdAt"]
    if ended_by == "cancellation":
        assert bench.post("/cancel").status == 200
    with time_machine.travel(at):
        assert tasks.consume(requested(approval["id"], decision="approve")) == []
    status = {"time": "expired", "cancellation": "void"}[ended_by]
    assert [each["status"] for each in bench.approvals()] == [status]
    (rejected,) = rejections(tasks)
    assert (rejected["code"], rejected["details"]) == ("ApprovalDecided", {"status": status})
    closed = bench.announced(
        {"time": "ApprovalDecided", "cancellation": "ApprovalVoided"}[ended_by]
    )
    assert [each.get("causationId") for each in closed] == [None]


def rejections(tasks: Service) -> list[dict[str, Any]]:
    return [e["detail"] for e in tasks.outbox() if e["detail-type"] == "RequestRejected"]


def decided_event(tasks: Service, bench: Workbench) -> Any:
    from common.events.approvals import ApprovalDecidedV1

    (decided,) = bench.announced("ApprovalDecided")
    return ApprovalDecidedV1.model_validate(decided)
