"""The properties of executing a task, on the deployed state machine."""

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.deployed import plans
from tests.platform import Api, Platform, Recorder, eventually

pytestmark = pytest.mark.deployed

ours = {"source": [{"prefix": "realtime-agentic-api."}]}


@pytest.fixture(scope="module")
def api(platform: Platform) -> Iterator[Api]:
    with platform.api() as api:
        yield api


@pytest.fixture(scope="module")
def recorder(platform: Platform) -> Iterator[Recorder]:
    with platform.recorder(ours) as recorder:
        yield recorder


@pytest.fixture(scope="module")
def agent(api: Api) -> dict[str, Any]:
    return api.agent()


def execution(platform: Platform, task: dict[str, Any]) -> dict[str, Any]:
    arn = platform.execution_arn(f"{task['id']}-1")
    return dict(platform.aws("stepfunctions").describe_execution(executionArn=arn))


@given(scenario=plans.scenarios(may_fail=False))
def test_property_11_sequential_step_execution(
    platform: Platform, api: Api, scenario: plans.Scenario
) -> None:
    """Feature: realtime-agentic-api, Property 11: Sequential step execution"""
    task = plans.run(platform, api, scenario, "follow the plan")
    steps = api.finished(task)["plan"]["steps"]

    planned = [step["description"] for step in scenario.steps]
    assert [step["description"] for step in steps[:-1]] == planned
    assert [step["status"] for step in steps] == ["completed"] * (len(planned) + 1)
    for earlier, later in pairwise(steps):
        assert earlier["startedAt"] <= earlier["completedAt"] <= later["startedAt"]
    asked = platform.model_requests(task["model"])[1:]
    for number, step in enumerate(s for s in steps if s["type"] != "tool_call"):
        assert step["description"] in asked[number]["body"]["messages"][-1]["content"][0]["text"]


@given(description=plans.words)
def test_property_12_task_completion_events(
    api: Api, agent: dict[str, Any], recorder: Recorder, description: str
) -> None:
    """Feature: realtime-agentic-api, Property 12: Task completion events"""
    task = api.finished(api.task(agent["id"], description))
    assert task["status"] == "completed"

    def completed(event: dict[str, Any]) -> bool:
        is_completed = event["detail-type"] == "TaskCompleted"
        return is_completed and event["detail"]["taskId"] == task["id"]

    (event,) = recorder.wait_for(completed)
    assert event["source"] == "realtime-agentic-api.tasks"
    assert event["detail"]["result"] == task["result"]
    assert event["detail"]["agentId"] == agent["id"]


@given(description=plans.words)
def test_property_39_task_creation_workflow_trigger(
    platform: Platform, api: Api, agent: dict[str, Any], description: str
) -> None:
    """Feature: realtime-agentic-api, Property 39: Task creation workflow trigger"""
    task = api.task(agent["id"], description)
    states = platform.aws("stepfunctions")

    def started() -> dict[str, Any] | None:
        try:
            return execution(platform, task)
        except states.exceptions.ExecutionDoesNotExist:
            return None

    found = eventually(started)
    assert found, "no execution of TaskExecution was started for the task"
    assert json.loads(found["input"]) == {"taskId": task["id"], "attempt": 1}


@given(scenario=plans.scenarios(may_fail=True), description=st.just("follow the plan"))
def test_property_44_complete_workflow_execution(
    platform: Platform, api: Api, scenario: plans.Scenario, description: str
) -> None:
    """Feature: realtime-agentic-api, Property 44: Complete workflow execution"""
    task = plans.run(platform, api, scenario, description)
    ended = api.finished(task)
    total, failed = len(scenario.steps) + 1, scenario.fails_at
    expected = ["completed"] * total
    if failed is not None:
        expected[failed:] = ["failed"] + ["skipped"] * (total - failed - 1)

    assert [step["status"] for step in ended["plan"]["steps"]] == expected
    assert ended["status"] == ("completed" if failed is None else "failed")
    assert (ended["error"] or {}).get("code") == (None if failed is None else "LLM_REFUSED")
    status = platform.execution(f"{task['id']}-1")["status"]
    assert status == ("SUCCEEDED" if failed is None else "FAILED")


@given(scenario=plans.scenarios(may_fail=True).filter(lambda found: found.fails_at is not None))
def test_property_13_step_failure_handling(
    platform: Platform, api: Api, recorder: Recorder, scenario: plans.Scenario
) -> None:
    """Feature: realtime-agentic-api, Property 13: Step failure handling"""
    task = plans.run(platform, api, scenario, "fail at a step")
    ended = api.finished(task)
    assert (ended["status"], ended["error"]["code"]) == ("failed", "LLM_REFUSED")

    def told(event: dict[str, Any]) -> bool:
        return event["detail-type"] == "TaskFailed" and event["detail"]["taskId"] == task["id"]

    (event,) = recorder.wait_for(told)
    assert event["detail"]["errorCode"] == "LLM_REFUSED"
    assert platform.execution(f"{task['id']}-1")["status"] == "FAILED"
    assert "HandleError" in _states(platform, task)


def _states(platform: Platform, task: dict[str, Any]) -> set[str]:
    """The states that the task's execution entered."""
    arn = platform.execution_arn(f"{task['id']}-1")
    pages = platform.aws("stepfunctions").get_paginator("get_execution_history")
    entered = (
        event.get("stateEnteredEventDetails", {}).get("name")
        for page in pages.paginate(executionArn=arn)
        for event in page["events"]
    )
    return {name for name in entered if name}


@given(
    decisions=st.lists(st.sampled_from(["approve", "reject"]), min_size=1, max_size=2),
    comment=st.none() | plans.words,
)
def test_property_46_human_approval_pause(
    platform: Platform, api: Api, decisions: list[str], comment: str | None
) -> None:
    """Feature: realtime-agentic-api, Property 46: Human approval pause"""
    step = plans.asks_first()
    task = plans.run(platform, api, plans.Scenario([step] * len(decisions), None), "ask first")
    for number, decision in enumerate(decisions):
        waiting = eventually(lambda: plans.pending(api, task))
        assert waiting, "the task never asked"
        assert execution(platform, task)["status"] == "RUNNING"
        now = api.read_task(task)
        assert (now["waitingFor"], now["currentStep"]) == (waiting["id"], number)
        body = {"decision": decision, "comment": comment}
        assert api.post(f"/approvals/{waiting['id']}", json=body).status_code == 200
        if decision == "reject":
            break
    ended = api.finished(task)
    refused = "reject" in decisions
    assert ended["status"] == ("failed" if refused else "completed")
    assert (ended["error"] or {}).get("code") == ("APPROVAL_REJECTED" if refused else None)
    assert refused or ended["currentStep"] == len(decisions) + 1
