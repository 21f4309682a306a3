"""Collaborations: what clients see, and each state of the machine, run twice as well."""

from typing import Any

import pytest
from common.events.collaborations import (
    AgentMessageSentV1,
    CollaborationCancelledV1,
    CollaborationStartedV1,
)
from common.quotas import Quotas

from tests import agents
from tests.service import Answer, Service, user

ADA, GRACE = user("ada"), user("grace")
NAMES = ("a1", "a2", "a3")


class Machine:
    """A collaboration of Ada's, and the MultiAgent machine's states applied to it by hand."""

    def __init__(self, tasks: Service, pattern: str = "sequential", **options: Any) -> None:
        self.tasks = tasks
        for name in NAMES:
            tasks.consume(agents.created(name))
        self.id = str(post(tasks, pattern, **options).body["id"])

    def state(self, name: str, **fields: Any) -> dict[str, Any]:
        event = {"state": name, "collaborationId": self.id, **fields}
        answers = [self.tasks.call("collaborate", event) for _ in range(2)]
        return dict(answers[0])

    def prepare(self, index: int) -> str:
        return str(self.state("prepare", participant=index)["outcome"])

    def settle(self, index: int) -> str:
        return str(self.state("settle", participant=index)["outcome"])

    def get(self) -> dict[str, Any]:
        return dict(self.tasks.request("GET", f"/collaborations/{self.id}", by=ADA).body)

    def task_id(self, index: int) -> str:
        return f"{self.id}-{index + 1:02d}"

    def carry_messages(self) -> None:
        """As the bus does, each of them twice."""
        for event in self.tasks.outbox():
            if event["detail-type"] == "AgentMessageSent":
                told = AgentMessageSentV1.model_validate(event["detail"])
                assert self.tasks.consume(told, told) == []

    def announced(self, name: str) -> list[dict[str, Any]]:
        return [e["detail"] for e in self.tasks.outbox() if e["detail-type"] == name]

    def statuses(self) -> list[str]:
        return [each["status"] for each in self.get()["participants"]]


def body(pattern: str = "parallel", names: tuple[str, ...] = NAMES) -> dict[str, Any]:
    participants = [{"agentId": name, "description": f"Part of {name}"} for name in names]
    return {"pattern": pattern, "participants": participants}


def post(tasks: Service, pattern: str = "parallel", **options: Any) -> Answer:
    wanted = body(pattern, options.pop("names", NAMES))
    return tasks.request("POST", "/collaborations", wanted, **{"by": ADA} | options)


def fail_task(machine: Machine, index: int) -> None:
    machine.tasks.call("initialize_task", {"taskId": machine.task_id(index)})
    machine.tasks.call("handle_error", {"taskId": machine.task_id(index), "attempt": 1})


def test_a_collaboration_is_answered_announced_and_listed(tasks: Service) -> None:
    machine = Machine(tasks)
    shown = machine.get()
    assert (shown["status"], shown["pattern"]) == ("running", "sequential")
    assert [each["agentId"] for each in shown["participants"]] == list(NAMES)
    assert machine.statuses() == ["pending"] * 3
    (started,) = machine.announced("CollaborationStarted")
    assert started["agentIds"] == list(NAMES)
    listed = tasks.request("GET", "/collaborations", by=ADA).body["items"]
    assert [each["id"] for each in listed] == [machine.id]
    assert tasks.request("GET", "/collaborations", by=GRACE).body["items"] == []


def test_a_request_that_comes_again_begins_nothing(tasks: Service) -> None:
    for name in NAMES:
        tasks.consume(agents.created(name))
    answers = [post(tasks, headers={"Idempotency-Key": "once"}) for _ in range(2)]
    assert answers[0].body == answers[1].body
    assert len(tasks.request("GET", "/collaborations", by=ADA).body["items"]) == 1


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        (body(names=("a1",)), "participants"),
        (body(names=("a1",) * 21), "participants"),
        (body("circular"), "pattern"),
        (body() | {"participants": [{"agentId": "a1", "description": " "}] * 2}, "participants"),
        (
            body() | {"participants": [{"agentId": "a1", "description": "x" * 9_000}] * 3},
            None,
        ),
    ],
)
def test_what_makes_no_sense_is_refused(
    tasks: Service, wanted: dict[str, Any], field: str | None
) -> None:
    answer = tasks.request("POST", "/collaborations", wanted, by=ADA)
    assert (answer.status, answer.body["error"]["code"]) == (400, "Invalid")
    assert field is None or field in answer.text


def test_only_agents_of_ones_own_take_part(tasks: Service) -> None:
    for name in NAMES[:2]:
        tasks.consume(agents.created(name))
    tasks.consume(agents.created("foreign", owner="grace"))
    assert post(tasks, names=("a1", "foreign")).status == 403
    assert post(tasks, names=("a1", "missing")).status == 404
    assert tasks.outbox() == []


def test_a_collaboration_is_its_owners(tasks: Service) -> None:
    machine = Machine(tasks)
    for method, path in (("GET", ""), ("POST", "/cancel")):
        answer = tasks.request(method, f"/collaborations/{machine.id}{path}", by=GRACE)
        assert answer.status == 403
    assert tasks.request("GET", "/collaborations/missing", by=ADA).status == 404


def test_each_hands_its_result_to_the_next(tasks: Service) -> None:
    machine = Machine(tasks)
    assert machine.state("begin") == {"participants": [0, 1, 2], "pattern": "sequential"}
    assert machine.prepare(0) == "ready"
    assert machine.statuses() == ["running", "pending", "pending"]
    fail_task(machine, 0)
    assert machine.settle(0) == "over"
    assert machine.prepare(1) == "waiting"
    machine.carry_messages()
    assert machine.prepare(1) == "ready"
    (handed_over,) = machine.announced("AgentMessageSent")
    assert (handed_over["agentId"], handed_over["toAgentId"]) == ("a1", "a2")
    assert handed_over["taskId"] == machine.task_id(1)
    assert "could not do my part" in handed_over["content"]


def test_the_states_run_twice_do_nothing_twice(tasks: Service) -> None:
    machine = Machine(tasks, "parallel")
    for index in range(3):
        assert machine.prepare(index) == "ready"
        fail_task(machine, index)
        assert machine.settle(index) == "over"
    assert machine.state("aggregate") == {"outcome": "failed"}
    assert machine.state("aggregate") == {"outcome": "stopped"}
    assert len(machine.announced("TaskCreated")) == 3
    assert len(machine.announced("CollaborationProgress")) == 6
    assert len(machine.announced("CollaborationFailed")) == 1
    assert machine.announced("AgentMessageSent") == []
    assert machine.get()["error"]["code"] == "ALL_FAILED"


def test_a_deleted_agent_is_a_failed_participant(tasks: Service) -> None:
    machine = Machine(tasks)
    tasks.consume(agents.deleted("a1", version=2))
    assert machine.prepare(0) == "over"
    machine.carry_messages()
    assert machine.prepare(1) == "ready"
    first, *_ = machine.get()["participants"]
    assert (first["status"], first["error"]["code"]) == ("failed", "AGENT_DELETED")


def test_quotas_of_active_tasks_apply(tasks: Service) -> None:
    machine = Machine(tasks, "parallel", by=user("ada", quotas=Quotas(active_tasks=1)))
    assert [machine.prepare(index) for index in range(3)] == ["ready", "over", "over"]
    assert machine.statuses() == ["running", "failed", "failed"]
    assert machine.get()["participants"][1]["error"]["code"] == "QUOTA_EXCEEDED"


def test_a_task_that_goes_on_is_waited_for(tasks: Service) -> None:
    machine = Machine(tasks, "parallel")
    machine.prepare(0)
    assert machine.settle(0) == "running"
    assert machine.prepare(0) == "ready"
    fail_task(machine, 0)
    assert machine.settle(0) == "over"
    first, *_ = machine.get()["participants"]
    assert (first["status"], first["error"]["code"]) == ("failed", "EXECUTION_FAILED")


def test_a_participant_that_could_not_be_begun_fails(tasks: Service) -> None:
    machine = Machine(tasks, "parallel")
    assert machine.settle(2) == "over"
    assert machine.statuses() == ["pending", "pending", "failed"]


def test_a_cancelled_collaboration_cancels_its_tasks(tasks: Service) -> None:
    machine = Machine(tasks, "parallel")
    machine.prepare(0)
    path = f"/collaborations/{machine.id}/cancel"
    headers = {"Idempotency-Key": "once"}
    answers = [tasks.request("POST", path, by=ADA, headers=headers) for _ in range(2)]
    assert [answer.body["status"] for answer in answers] == ["cancelled"] * 2
    (cancelled,) = machine.announced("CollaborationCancelled")
    event = CollaborationCancelledV1.model_validate(cancelled)
    assert tasks.consume(event, event) == []
    assert len(machine.announced("TaskCancelled")) == 1
    assert machine.prepare(1) == "over"
    assert machine.settle(0) == "over"
    assert machine.state("aggregate") == {"outcome": "stopped"}
    assert machine.statuses() == ["cancelled"] * 3
    assert tasks.request("POST", path, by=ADA).status == 409


def test_a_broken_machine_ends_everything(tasks: Service) -> None:
    machine = Machine(tasks, "parallel")
    machine.prepare(0)
    assert machine.state("handle_error") == {"outcome": "failed"}
    assert machine.get()["error"]["code"] == "EXECUTION_FAILED"
    assert len(machine.announced("TaskCancelled")) == 1
    assert len(machine.announced("ErrorOccurred")) == 1


def test_a_collaboration_is_started_once(tasks: Service) -> None:
    machine = Machine(tasks)
    started: list[str] = []

    class Machines:
        def start(self, collaboration_id: str) -> None:
            started.append(collaboration_id)

    tasks.module.multi_agent = Machines  # type: ignore[attr-defined]
    event = CollaborationStartedV1.model_validate(machine.announced("CollaborationStarted")[0])
    assert tasks.consume(event) == []
    assert started == [machine.id]
