"""The calls of tools that steps made, as their tasks' progress told of them."""

from itertools import permutations

import pytest
from common.events.tasks import PlannedStep, TaskCreatedV1, TaskProgressV1, ToolInvocation

from services.graphql.tests.test_reads import reads
from tests import agents

TASKS = 20
CALLS = "toolInvocations { id tool parameters status output outputTruncated durationMs }"


def at(second):
    return f"2026-01-01T00:00:{second:02d}.000Z"


def about(version, task="t1"):
    ids = {"task_id": task, "agent_id": "a1", "aggregate_id": task, "user_id": "ada"}
    return ids | {"aggregate_version": version, "timestamp": at(version)}


def call(step, id="c1", **fields):
    told = {"tool": "lookup", "parameters": {"a_b": 1}, "status": "succeeded", "output": "2"}
    told |= {"output_truncated": False, "started_at": at(1), "completed_at": at(2)}
    return ToolInvocation(id=id, step=step, **told | {"duration_ms": 7} | fields)


def planned(version=2, task="t1"):
    steps = [PlannedStep(type="reasoning", description="do")] * 2
    counts = {"current_step": 0, "total_steps": 2, "progress": 0}
    return TaskProgressV1(steps=steps, **counts, **about(version, task))


def progress(done, version, *calls, task="t1"):
    counts = {"current_step": done, "total_steps": 2, "progress": done / 2}
    return TaskProgressV1(tool_invocations=list(calls) or None, **counts, **about(version, task))


def created(task="t1"):
    return TaskCreatedV1(description="do", **about(1, task))


@pytest.fixture
def graphql(service):
    running = service("graphql")
    assert running.consume(agents.created("a1"), created(), planned()) == []
    return running


def steps(graphql):
    query = f'{{ task(agentId: "a1", taskId: "t1") {{ steps {{ id status {CALLS} }} }} }}'
    return graphql.request("POST", "/graphql", {"query": query}).body["data"]["task"]["steps"]


def test_a_step_has_the_calls_that_were_told_of_it(graphql):
    lost = call("step-001", "c2", status="started", output=None, duration_ms=None)
    assert graphql.consume(progress(1, 3, call("step-001"), lost)) == []
    first = {"id": "c1", "tool": "lookup", "parameters": {"a_b": 1}, "status": "SUCCEEDED"}
    first |= {"output": "2", "outputTruncated": False, "durationMs": 7}
    second = first | {"id": "c2", "status": "STARTED", "output": None, "durationMs": None}
    assert steps(graphql) == [
        {"id": "step-001", "status": "COMPLETED", "toolInvocations": [first, second]},
        {"id": "step-002", "status": "RUNNING", "toolInvocations": []},
    ]


def test_every_order_ends_in_the_same_calls(graphql):
    """The first step failed with one call, and ended with two when it was tried again."""
    history = [
        progress(0, 3, call("step-001", status="failed")),
        progress(1, 6, call("step-001", status="failed"), call("step-001", "c2")),
        progress(2, 8, call("step-002", "c3")),
    ]
    ends = []
    for number, order in enumerate(permutations(history)):
        name = f"t{number + 2}"
        ids = {"task_id": name, "aggregate_id": name}
        own = [each.model_copy(update=ids) for each in order]
        assert graphql.consume(created(name), *own, own[0], planned(task=name)) == []
        rows = graphql.rows()
        ends.append(
            {
                row["SK"]: row["calls"]
                for row in rows
                if row["PK"] == f"TASK#{name}" and "calls" in row
            }
        )
    assert ends == [ends[0]] * len(ends)
    assert set(ends[0]) == {"CALLS#step-001", "CALLS#step-002"}


def test_calls_of_many_tasks_are_one_read_more(graphql):
    for number in range(TASKS):
        name = f"z{number}"  # newer than t1
        told = progress(1, 3, call("step-001"), task=name)
        assert graphql.consume(created(name), planned(task=name), told) == []
    asked = f"edges {{ node {{ steps {{ {CALLS} }} }} }}"
    query = f'{{ tasks(agentId: "a1", limit: {TASKS}) {{ {asked} }} }}'
    with reads() as made:
        answer = graphql.request("POST", "/graphql", {"query": query}).body["data"]["tasks"]
    found = [edge["node"]["steps"][0]["toolInvocations"] for edge in answer["edges"]]
    assert [len(each) for each in found] == [1] * TASKS
    assert sorted(made) == ["BatchGetItem", "BatchGetItem", "Query"]
