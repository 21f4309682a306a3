import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from chalicelib.tasks.models import PlannedStep, Task, TaskFile, TaskPlan
from chalicelib.tasks.models.failures import AgentFailed
from chalicelib.tasks.tools import Admission
from chalicelib.tasks.use_cases.progress import MAX_RESULT_CHARS_IN_EVENT
from chalicelib.tasks.work import Job
from common.errors import Conflict
from common.outbox import MAX_BATCH_BYTES

from tests import agents
from tests.service import Service, user

ADA = user("ada")
REFUSED = AgentFailed("LLM_REFUSED", "The model provider refused the request")


def steps(*kinds: str) -> TaskPlan:
    return TaskPlan(
        steps=[PlannedStep(type=kind, description=f"{n} {kind}") for n, kind in enumerate(kinds)]
    )


THREE = steps("reasoning", "reasoning", "response")


class ScriptedRuntime:
    """Answers as it was told, and counts how often it was asked for what."""

    def __init__(self, plan: TaskPlan | AgentFailed = THREE) -> None:
        self.outputs: dict[int, str | AgentFailed] = {}
        self.asked: Counter[str] = Counter()
        self.before_step: Callable[[int], object] = lambda index: None
        self._plan = plan

    def plan(self, job: Job, task: Task) -> TaskPlan:
        self.asked["plan"] += 1
        return self._told(self._plan)

    def run_step(self, job: Job, file: TaskFile, index: int, admit: Admission) -> str:
        self.asked[f"step {index}"] += 1
        self.before_step(index)
        return self._told(self.outputs.get(index, f"output {index}"))

    def _told(self, answer: Any) -> Any:
        if isinstance(answer, AgentFailed):
            raise answer
        return answer


class Execution:
    """One task, and the machine's states applied to it by hand."""

    def __init__(self, tasks: Service, runtime: ScriptedRuntime) -> None:
        self.tasks, self.runtime = tasks, runtime
        tasks.module.runtime = lambda: runtime  # type: ignore[attr-defined]
        tasks.consume(agents.created("agent"))
        answer = tasks.request("POST", "/agents/agent/tasks", {"description": "Go"}, by=ADA)
        self.id = str(answer.body["id"])

    def state(self, name: str, **fields: Any) -> str:
        return str(self.tasks.call(name, {"taskId": self.id, "attempt": 1, **fields})["outcome"])

    def plan(self) -> list[int]:
        self.state("initialize_task")
        groups = self.tasks.call("plan_task", {"taskId": self.id})["steps"]
        return [index for group in groups for index in group]

    def run(self) -> str:
        """As the machine does, to its end."""
        for index in self.plan():
            self.state("execute_step", steps=[index])
        outcome = self.state("complete_task")
        return self.state("handle_error") if outcome == "failed" else outcome

    def get(self) -> dict[str, Any]:
        answer = self.tasks.request("GET", f"/agents/agent/tasks/{self.id}", by=ADA)
        assert answer.status == 200, answer
        return dict(answer.body)

    def step_statuses(self) -> list[str]:
        return [step["status"] for step in self.get()["plan"]["steps"]]

    def cancel(self) -> int:
        return self.tasks.request("POST", f"/agents/agent/tasks/{self.id}/cancel", by=ADA).status

    def announced(self, *names: str) -> list[dict[str, Any]]:
        """Details of the events of these names, oldest first."""
        found = [e["detail"] for e in self.tasks.outbox() if e["detail-type"] in names]
        return sorted(found, key=lambda detail: detail["aggregateVersion"])

    def counts(self) -> Counter[str]:
        return Counter(event["detail-type"] for event in self.tasks.outbox())

    def snapshot(self) -> list[str]:
        return sorted(str(sorted(row.items())) for row in self.tasks.rows())


def test_a_task_is_planned_executed_and_completed(tasks: Service) -> None:
    execution = Execution(tasks, ScriptedRuntime())
    assert execution.run() == "completed"
    task = execution.get()
    assert (task["status"], task["result"], task["error"]) == ("completed", "output 2", None)
    assert (task["currentStep"], task["totalSteps"]) == (3, 3)
    assert [step["output"] for step in task["plan"]["steps"]] == [f"output {n}" for n in range(3)]
    assert execution.step_statuses() == ["completed"] * 3
    assert task["createdAt"] <= task["startedAt"] <= task["completedAt"]
    assert execution.counts() == {
        "TaskCreated": 1,
        "TaskStarted": 1,
        "TaskProgress": 4,
        "TaskCompleted": 1,
    }
    assert execution.runtime.asked == {"plan": 1, "step 0": 1, "step 1": 1, "step 2": 1}


def test_progress_grows_from_nothing_to_all(tasks: Service) -> None:
    execution = Execution(tasks, ScriptedRuntime())
    execution.run()
    told = execution.announced("TaskProgress")
    assert [event["currentStep"] for event in told] == [0, 1, 2, 3]
    assert [event["progress"] for event in told] == [
        0,
        pytest.approx(1 / 3),
        pytest.approx(2 / 3),
        1,
    ]
    assert [event["stepDescription"] for event in told] == [
        None,
        "0 reasoning",
        "1 reasoning",
        "2 response",
    ]


def test_all_events_of_a_task_belong_together(tasks: Service) -> None:
    execution = Execution(tasks, ScriptedRuntime())
    execution.run()
    told = [event["detail"] for event in tasks.outbox()]
    assert len({event["correlationId"] for event in told}) == 1
    versions = [event["aggregateVersion"] for event in told]
    assert sorted(versions) == list(range(1, len(told) + 1))


def test_a_plan_without_a_response_gets_one(tasks: Service) -> None:
    execution = Execution(tasks, ScriptedRuntime(steps("reasoning")))
    assert execution.run() == "completed"
    assert [step["type"] for step in execution.get()["plan"]["steps"]] == ["reasoning", "response"]


def test_a_client_sees_how_far_the_task_is(tasks: Service) -> None:
    execution = Execution(tasks, ScriptedRuntime())
    execution.plan()
    assert execution.step_statuses() == ["running", "pending", "pending"]
    execution.state("execute_step", steps=[0])
    assert execution.step_statuses() == ["completed", "running", "pending"]
    assert execution.get()["status"] == "running"


SCENARIOS: dict[str, tuple[TaskPlan | AgentFailed, dict[int, str | AgentFailed], str]] = {
    "success": (THREE, {}, "completed"),
    "a failing step": (THREE, {1: REFUSED}, "failed"),
    "a failing plan": (REFUSED, {}, "failed"),
}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_state_that_runs_again_changes_nothing(tasks: Service, scenario: str) -> None:
    plan, outputs, status = SCENARIOS[scenario]
    execution = Execution(tasks, ScriptedRuntime(plan))
    execution.runtime.outputs = outputs

    def twice(name: str, **fields: Any) -> None:
        execution.state(name, **fields)
        before, asked = execution.snapshot(), execution.runtime.asked.copy()
        execution.state(name, **fields)
        assert execution.snapshot() == before, name
        assert execution.runtime.asked == asked, name

    twice("initialize_task")
    twice("plan_task")
    for index in range(3 if isinstance(plan, TaskPlan) else 0):
        twice("execute_step", steps=[index])
    twice("complete_task")
    if status == "failed":
        twice("handle_error")
    assert execution.get()["status"] == status


def test_the_steps_after_a_failed_one_are_skipped(tasks: Service) -> None:
    execution = Execution(tasks, ScriptedRuntime())
    execution.runtime.outputs[1] = REFUSED
    outcomes = [execution.state("execute_step", steps=[index]) for index in execution.plan()]
    assert outcomes == ["completed", "failed", "skipped"]
    assert execution.state("complete_task") == "failed"
    assert execution.state("handle_error") == "failed"
    task = execution.get()
    assert (task["status"], task["result"]) == ("failed", None)
    assert (task["error"]["code"], task["error"]["message"]) == (REFUSED.code, REFUSED.message)
    assert execution.step_statuses() == ["completed", "failed", "skipped"]
    assert execution.runtime.asked["step 2"] == 0


@pytest.mark.parametrize("broken", ["plan", "step"])
def test_a_failure_is_announced_once_with_its_reason(tasks: Service, broken: str) -> None:
    execution = Execution(tasks, ScriptedRuntime(REFUSED if broken == "plan" else THREE))
    execution.runtime.outputs[1] = REFUSED
    assert execution.run() == "failed"
    for _ in range(2):
        assert execution.state("handle_error") == "stopped"
    (failed,) = execution.announced("TaskFailed")
    (occurred,) = execution.announced("ErrorOccurred")
    assert (failed["errorCode"], failed["errorMessage"]) == (REFUSED.code, REFUSED.message)
    assert (occurred["errorType"], occurred["errorMessage"]) == (REFUSED.code, REFUSED.message)
    assert occurred["context"] == {"taskId": execution.id, "agentId": "agent"}
    assert execution.announced("TaskCompleted") == []


@pytest.mark.parametrize("reached", ["nothing", "initialize_task", "plan_task", "a step"])
def test_an_execution_that_broke_off_ends_its_task_as_failed(tasks: Service, reached: str) -> None:
    execution = Execution(tasks, ScriptedRuntime())
    if reached != "nothing":
        execution.state("initialize_task")
    if reached in ("plan_task", "a step"):
        execution.state("plan_task")
    if reached == "a step":
        execution.state("execute_step", steps=[0])
    assert execution.state("handle_error") == "failed"
    task = execution.get()
    assert (task["status"], task["error"]["code"]) == ("failed", "EXECUTION_FAILED")
    assert execution.counts()["TaskFailed"] == 1
    if reached == "a step":
        assert execution.step_statuses() == ["completed", "skipped", "skipped"]


@pytest.mark.parametrize("steps_before", range(3))
def test_a_cancelled_task_is_not_worked_on(tasks: Service, steps_before: int) -> None:
    execution = Execution(tasks, ScriptedRuntime())
    order = execution.plan()
    for index in order[:steps_before]:
        execution.state("execute_step", steps=[index])
    assert execution.cancel() == 200
    rest = [execution.state("execute_step", steps=[index]) for index in order[steps_before:]]
    assert rest == ["skipped"] * len(rest)
    assert execution.state("complete_task") == "stopped"
    assert execution.state("handle_error") == "stopped"
    task = execution.get()
    assert (task["status"], task["currentStep"]) == ("cancelled", steps_before)
    assert execution.counts()["TaskCancelled"] == 1
    assert not execution.announced("TaskCompleted", "TaskFailed", "ErrorOccurred")


def test_a_task_cancelled_before_it_began_is_not_planned(tasks: Service) -> None:
    execution = Execution(tasks, ScriptedRuntime())
    execution.cancel()
    assert execution.state("initialize_task") == "stopped"
    assert execution.state("plan_task") == "stopped"
    assert execution.runtime.asked == {}


def test_a_cancellation_while_a_step_runs_wins(tasks: Service) -> None:
    execution = Execution(tasks, ScriptedRuntime())
    execution.plan()
    execution.runtime.before_step = lambda index: execution.cancel()
    with pytest.raises(Conflict):
        execution.state("execute_step", steps=[0])
    assert execution.state("execute_step", steps=[0]) == "skipped"
    assert execution.get()["status"] == "cancelled"
    assert execution.step_statuses() == ["skipped"] * 3


def test_a_task_that_completed_first_can_not_be_cancelled(tasks: Service) -> None:
    execution = Execution(tasks, ScriptedRuntime())
    execution.run()
    assert execution.cancel() == 409
    assert execution.get()["status"] == "completed"


@pytest.mark.parametrize("state", ["plan_task", "execute_step"])
def test_a_task_of_a_deleted_agent_is_cancelled(tasks: Service, state: str) -> None:
    execution = Execution(tasks, ScriptedRuntime())
    if state == "execute_step":
        execution.plan()
    # What the consumer does not see yet in the index of tasks, the execution itself must notice.
    tasks.table.update_item(
        Key={"PK": "AGENT#agent", "SK": "SNAPSHOT"},
        UpdateExpression="SET deleted = :yes",
        ExpressionAttributeValues={":yes": True},
    )
    assert execution.state(state, steps=[0]) in ("stopped", "skipped")
    assert execution.state("complete_task") == "stopped"
    assert execution.get()["status"] == "cancelled"
    assert execution.counts()["TaskCancelled"] == 1
    assert execution.runtime.asked["step 0"] == 0


def test_a_long_result_is_cut_in_the_event_and_whole_in_the_task(tasks: Service) -> None:
    result = "".join(f"{n:07d} " for n in range(10_000))
    execution = Execution(tasks, ScriptedRuntime(steps("response")))
    execution.runtime.outputs[0] = result
    assert execution.run() == "completed"
    (completed,) = execution.announced("TaskCompleted")
    assert completed["resultTruncated"] is True
    assert completed["result"] == result[:MAX_RESULT_CHARS_IN_EVENT]
    assert execution.get()["result"] == result


def test_a_short_result_is_whole_in_the_event(tasks: Service) -> None:
    execution = Execution(tasks, ScriptedRuntime(steps("response")))
    execution.runtime.outputs[0] = "x" * MAX_RESULT_CHARS_IN_EVENT
    execution.run()
    (completed,) = execution.announced("TaskCompleted")
    assert completed["resultTruncated"] is False
    assert len(completed["result"]) == MAX_RESULT_CHARS_IN_EVENT


@pytest.mark.parametrize("character", ["🤖", "\x01"])
def test_the_event_of_any_result_fits_on_the_bus(tasks: Service, character: str) -> None:
    execution = Execution(tasks, ScriptedRuntime(steps("response")))
    execution.runtime.outputs[0] = character * MAX_RESULT_CHARS_IN_EVENT
    assert execution.run() == "completed"
    (completed,) = execution.announced("TaskCompleted")
    size = len(json.dumps(completed, ensure_ascii=False).encode())
    assert size <= MAX_BATCH_BYTES


def test_an_output_larger_than_a_row_is_kept_whole(tasks: Service) -> None:
    execution = Execution(tasks, ScriptedRuntime(steps("response")))
    execution.runtime.outputs[0] = "x" * 500_000
    assert execution.run() == "completed"
    assert execution.get()["result"] == "x" * 500_000


def test_a_plan_larger_than_a_row_is_kept_or_told_as_a_failure(tasks: Service) -> None:
    step = PlannedStep(type="reasoning", description="x" * 2000, parameters={"a": "x" * 2000})
    execution = Execution(tasks, ScriptedRuntime(TaskPlan(steps=[step] * 150)))
    execution.state("initialize_task")
    outcome = execution.state("plan_task")
    assert outcome in ("planned", "failed")
    task = execution.get()
    assert (task["plan"] is None) == (task["error"] is not None)


def test_a_group_of_steps_ends_at_the_first_that_does_not_complete(tasks: Service) -> None:
    execution = Execution(tasks, ScriptedRuntime(steps(*["reasoning"] * 6, "response")))
    execution.plan()
    execution.runtime.outputs[2] = REFUSED
    assert execution.state("execute_step", steps=[0, 1, 2, 3, 4]) == "failed"
    assert execution.step_statuses() == ["completed"] * 2 + ["failed"] + ["skipped"] * 4
    assert execution.runtime.asked["step 3"] == 0


def test_a_group_that_runs_again_goes_on_where_it_was(tasks: Service) -> None:
    execution = Execution(tasks, ScriptedRuntime())
    execution.plan()
    execution.state("execute_step", steps=[0])
    assert execution.state("execute_step", steps=[0, 1, 2]) == "completed"
    assert execution.runtime.asked == {"plan": 1, "step 0": 1, "step 1": 1, "step 2": 1}
    assert execution.state("complete_task") == "completed"
