"""Whatever the order and however often events arrive, the read model ends the same."""

import json
import random
from itertools import permutations

import pytest
from common.events.agents import (
    AgentCreatedV1,
    AgentDeletedV1,
    AgentStatusChangedV1,
    AgentUpdatedV1,
)
from common.events.catalogue import consumed_by
from common.events.tasks import (
    PlannedStep,
    TaskCancelledV1,
    TaskCompletedV1,
    TaskCreatedV1,
    TaskFailedV1,
    TaskProgressV1,
    TaskRetriedV1,
    TaskStartedV1,
)


@pytest.fixture
def graphql(service):
    return service("graphql")


def agent_event(kind, version, **fields):
    about = {"user_id": "ada", "aggregate_id": "a1", "aggregate_version": version}
    at = f"2026-01-01T00:00:{version:02d}.000Z"
    return kind(agent_id="a1", timestamp=at, **about, **fields)


def task_event(kind, version, **fields):
    about = {"user_id": "ada", "aggregate_id": "t1", "aggregate_version": version}
    at = f"2026-01-01T00:00:{version:02d}.000Z"
    return kind(task_id="t1", agent_id="a1", timestamp=at, **about, **fields)


def configuration(model):
    return {"llmProvider": "openai", "model": model, "tools": []}


CREATED = agent_event(AgentCreatedV1, 1, name="one", configuration=configuration("m1"))
AGENT_LIFE = [
    CREATED,
    agent_event(AgentStatusChangedV1, 2, old_status="idle", new_status="processing"),
    agent_event(AgentUpdatedV1, 3, name="two", configuration=configuration("m2")),
    agent_event(AgentStatusChangedV1, 4, old_status="processing", new_status="error"),
]
DELETED = agent_event(AgentDeletedV1, 5)
PLAN = [
    PlannedStep(type="reasoning", description="think"),
    PlannedStep(type="response", description="answer"),
]
TASK_LIFE = [
    task_event(TaskCreatedV1, 1, description="do"),
    task_event(TaskStartedV1, 2),
    task_event(TaskProgressV1, 3, current_step=0, total_steps=2, progress=0, steps=PLAN),
    task_event(TaskProgressV1, 4, current_step=1, total_steps=2, progress=0.5),
    task_event(TaskCompletedV1, 5, result="done"),
]
FAILURE = task_event(TaskFailedV1, 5, error_code="E", error_message="m")
RETRIED = [
    TASK_LIFE[0],
    TASK_LIFE[3],
    FAILURE,
    task_event(TaskRetriedV1, 6, attempt=2),
    task_event(TaskStartedV1, 7),
    task_event(TaskCompletedV1, 8, result="at last"),
]
ALL = "{ agents { edges { node { id name status configuration { model } createdAt updatedAt } } } }"
TASK = """{ task(agentId: "a1", taskId: "t1") { description status currentStep totalSteps
  result error { code message } attempt createdAt completedAt } }"""


def deliveries(history):
    """Every order, each with one event delivered again at some later point."""
    chance = random.Random(1)
    for order in permutations(history):
        again = chance.randrange(len(order))
        at = chance.randint(again + 1, len(order))
        yield [*order[:at], order[again], *order[at:]]


def final_rows(graphql, delivery):
    for row in graphql.rows():
        graphql.table.delete_item(Key={"PK": row["PK"], "SK": row["SK"]})
    assert graphql.consume(*delivery) == []
    return objects(graphql)


def objects(graphql):
    """The read model itself, without what is kept for a day of how it came about."""
    return [row for row in graphql.rows() if row["SK"] == "METADATA"]


def ask(graphql, query):
    return graphql.request("POST", "/graphql", {"query": query}).body["data"]


def test_every_event_of_the_catalogue_that_names_this_service_has_a_consumer(graphql):
    assert set(graphql.module.consumers.functions) == set(consumed_by("graphql"))


@pytest.mark.parametrize("history", [AGENT_LIFE, [*AGENT_LIFE, DELETED], TASK_LIFE[1:], RETRIED])
def test_every_order_of_a_history_ends_in_the_same_row(graphql, history):
    expected = final_rows(graphql, history)
    assert len(expected) == 1
    for delivery in deliveries(history):
        assert final_rows(graphql, delivery) == expected, [type(e).__name__ for e in delivery]


def test_an_emptied_table_is_rebuilt_by_replaying(graphql):
    """The archive keeps no order and may have an event twice."""
    everything = [*AGENT_LIFE, *TASK_LIFE]
    before = final_rows(graphql, everything)
    replayed = [*reversed(everything), *everything]
    assert final_rows(graphql, replayed) == before
    assert len(before) == 2


def test_an_agent_is_what_its_newest_events_say(graphql):
    graphql.consume(*AGENT_LIFE)
    (edge,) = ask(graphql, ALL)["agents"]["edges"]
    assert edge["node"] == {
        "id": "a1",
        "name": "two",
        "status": "ERROR",
        "configuration": {"model": "m2"},
        "createdAt": CREATED.timestamp,
        "updatedAt": AGENT_LIFE[2].timestamp,
    }


def test_a_task_is_what_its_newest_events_say(graphql):
    graphql.consume(*reversed(TASK_LIFE))
    assert ask(graphql, TASK)["task"] == {
        "description": "do",
        "status": "COMPLETED",
        "currentStep": 1,
        "totalSteps": 2,
        "result": "done",
        "error": None,
        "attempt": 1,
        "createdAt": TASK_LIFE[0].timestamp,
        "completedAt": TASK_LIFE[4].timestamp,
    }


def test_a_failed_task_that_runs_again_has_no_error_any_more(graphql):
    graphql.consume(*RETRIED[:3])
    failed = ask(graphql, TASK)["task"]
    assert (failed["status"], failed["error"]) == ("FAILED", {"code": "E", "message": "m"})
    for event, status in zip(RETRIED[3:5], ("PENDING", "RUNNING"), strict=True):
        graphql.consume(event)
        again = ask(graphql, TASK)["task"]
        assert (again["status"], again["error"], again["attempt"]) == (status, None, 2)
        assert again["completedAt"] is None


def test_a_cancelled_task_has_ended(graphql):
    graphql.consume(TASK_LIFE[0], task_event(TaskCancelledV1, 2))
    cancelled = ask(graphql, TASK)["task"]
    assert cancelled["status"] == "CANCELLED"
    assert cancelled["completedAt"]


def test_a_late_creation_does_not_bring_a_deleted_agent_back(graphql):
    graphql.consume(DELETED, *AGENT_LIFE)
    assert ask(graphql, ALL) == {"agents": {"edges": []}}
    assert ask(graphql, '{ agent(id: "a1") { id } }') == {"agent": None}
    (row,) = objects(graphql)
    assert row["deleted"]
    assert "GSI1PK" not in row


def test_what_is_not_described_yet_is_not_shown(graphql):
    graphql.consume(*AGENT_LIFE[1:], *TASK_LIFE[1:])
    assert ask(graphql, ALL) == {"agents": {"edges": []}}
    assert ask(graphql, '{ agent(id: "a1") { id } }') == {"agent": None}
    assert ask(graphql, TASK) == {"task": None}


def test_a_status_nobody_here_knows_goes_back_to_the_queue_alone(graphql):
    strange = agent_event(AgentStatusChangedV1, 9, old_status="idle", new_status="dreaming")
    assert graphql.consume(CREATED, strange) == ["1"]
    assert ask(graphql, '{ agent(id: "a1") { status } }') == {"agent": {"status": "IDLE"}}


def test_a_large_configuration_in_any_script_is_kept_whole(graphql):
    prompt = "\u4e16" * 30_000
    large = agent_event(
        AgentCreatedV1, 1, name="x", configuration=configuration("m") | {"systemPrompt": prompt}
    )
    assert graphql.consume(large) == []
    answer = ask(graphql, '{ agent(id: "a1") { configuration { systemPrompt } } }')
    assert answer["agent"]["configuration"]["systemPrompt"] == prompt
    assert json.loads(objects(graphql)[0]["configuration"])["systemPrompt"] == prompt


def test_a_task_shows_its_plan_and_how_far_it_got(graphql):
    steps = '{ task(agentId: "a1", taskId: "t1") { steps { id type description status } } }'
    graphql.consume(TASK_LIFE[0])
    assert ask(graphql, steps)["task"] == {"steps": []}
    seen = []
    for event in (*TASK_LIFE[2:4], task_event(TaskFailedV1, 6, error_code="E", error_message="m")):
        graphql.consume(event)
        seen.append([step["status"] for step in ask(graphql, steps)["task"]["steps"]])
    assert seen == [["RUNNING", "PENDING"], ["COMPLETED", "RUNNING"], ["COMPLETED", "FAILED"]]
    graphql.consume(task_event(TaskCancelledV1, 7))
    (first, second) = ask(graphql, steps)["task"]["steps"]
    assert first == {
        "id": "step-001",
        "type": "reasoning",
        "description": "think",
        "status": "COMPLETED",
    }
    assert second["status"] == "SKIPPED"
