"""Schedules as they are told of, in whatever order."""

from itertools import permutations

import pytest
from common.events.schedules import ScheduleChangedV1, ScheduledTaskV1
from common.events.tasks import TaskCreatedV1

from tests import agents
from tests.service import user

BOB = user("bob")
SHOWN = """id agentId description at rate cron timezone startsAt endsAt enabled onOverlap
  createdAt updatedAt"""


def about(id, version, owner="ada"):
    named = {"schedule_id": id, "aggregate_id": id, "aggregate_version": version}
    return named | {"user_id": owner, "timestamp": f"2026-01-01T00:00:{version:02d}.000Z"}


def changed(id, version, state="enabled", agent="a1", owner="ada", **fields):
    told = {"description": "news", "rate": "1 hour", "timezone": "UTC", "on_overlap": "skip"}
    told |= {"created_at": f"2026-01-01T00:00:00.{int(id[1:]):03d}Z", "updated_at": "later"}
    told = {} if state == "deleted" else told | fields
    return ScheduleChangedV1(agent_id=agent, state=state, **told, **about(id, version, owner))


def ran(id, version, task):
    given = {"task_type": "agent_task", "parameters": {}, "scope": "", "quotas": {}}
    return ScheduledTaskV1(event_id=task, due_at="then", **given, **about(id, version))


@pytest.fixture
def graphql(service):
    running = service("graphql")
    running.consume(agents.created("a1"), agents.created("a2"), agents.created("b1", "bob"))
    return running


def ask(graphql, query, by=None):
    return graphql.request("POST", "/graphql", {"query": query}, by=by).body


def ids(graphql, arguments="", by=None):
    named = f"schedules({arguments})" if arguments else "schedules"
    answer = ask(graphql, f"{{ {named} {{ edges {{ node {{ id }} }} nextToken }} }}", by)
    found = answer["data"]["schedules"]
    return [edge["node"]["id"] for edge in found["edges"]], found["nextToken"]


def test_a_schedule_is_what_it_was_last_said_to_be(graphql):
    about_task = {"user_id": "ada", "aggregate_id": "t1", "aggregate_version": 1}
    graphql.consume(changed("s1", 1), ran("s1", 2, "t1"))
    graphql.consume(TaskCreatedV1(task_id="t1", agent_id="a1", description="do", **about_task))
    after = {"rate": None, "cron": "0 9 * * ? *", "timezone": "Europe/Berlin"}
    graphql.consume(changed("s1", 3, "disabled", **after, on_overlap="queue", ends_at="end"))
    more = "agent { id } lastRun { dueAt task { id } }"
    query = f'{{ schedule(id: "s1") {{ {SHOWN} {more} }} }}'
    assert ask(graphql, query)["data"]["schedule"] == {
        "id": "s1",
        "agentId": "a1",
        "description": "news",
        "at": None,
        "rate": None,
        "cron": "0 9 * * ? *",
        "timezone": "Europe/Berlin",
        "startsAt": None,
        "endsAt": "end",
        "enabled": False,
        "onOverlap": "QUEUE",
        "createdAt": "2026-01-01T00:00:00.001Z",
        "updatedAt": "later",
        "agent": {"id": "a1"},
        "lastRun": {"dueAt": "then", "task": {"id": "t1"}},
    }


@pytest.mark.parametrize("end", ["enabled", "deleted"])
def test_every_order_ends_the_same(graphql, end):
    history = [changed("s1", 1), ran("s1", 2, "t1"), changed("s1", 3, end), ran("s1", 4, "t2")]
    ends = []
    for order in permutations(history):
        assert graphql.consume(*order, order[0]) == []
        key = {"PK": "SCHEDULE#s1", "SK": "METADATA"}
        ends.append(graphql.table.get_item(Key=key)["Item"])
        graphql.table.delete_item(Key=key)
    assert all(each == ends[0] for each in ends)
    assert ("GSI1PK" in ends[0]) == (end == "enabled")


def test_lists_are_the_callers_own_and_of_one_agent(graphql):
    graphql.consume(*(changed(f"s{n}", 1, agent=f"a{1 + n % 2}") for n in range(1, 6)))
    graphql.consume(changed("s9", 1, agent="b1", owner="bob"), changed("s2", 2, "deleted"))
    assert ids(graphql) == (["s5", "s4", "s3", "s1"], None)
    assert ids(graphql, 'agentId: "a1"') == (["s4"], None)
    first, token = ids(graphql, 'agentId: "a2", limit: 2')
    assert first == ["s5", "s3"]
    assert ids(graphql, f'agentId: "a2", limit: 2, nextToken: "{token}"') == (["s1"], None)
    assert ids(graphql, by=BOB) == (["s9"], None)
    query = '{ agent(id: "a2") { schedules(limit: 1) { edges { node { id } } } } }'
    assert ask(graphql, query)["data"]["agent"]["schedules"]["edges"] == [{"node": {"id": "s5"}}]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ('schedule(id: "s9") { id }', "Forbidden"),
        ('schedules(agentId: "b1") { nextToken }', "Forbidden"),
        ('schedules(agentId: "none") { nextToken }', "NotFound"),
        ("schedules(limit: 0) { nextToken }", "Invalid"),
    ],
)
def test_what_may_not_be_seen_or_is_not_there(graphql, query, code):
    graphql.consume(changed("s9", 1, agent="b1", owner="bob"))
    (error,) = ask(graphql, f"{{ {query} }}")["errors"]
    assert error["extensions"]["code"] == code
    assert ask(graphql, '{ schedule(id: "s0") { id } }') == {"data": {"schedule": None}}
