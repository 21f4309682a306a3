"""How many reads of the table an answer takes: as few as if somebody had written them by hand."""

from contextlib import contextmanager

import pytest
from chalicelib.graphql.limits import LISTS
from common.events.tasks import TaskCreatedV1
from graphql import build_schema, is_object_type

from tests import agents
from tests.service import ROOT, before_calls

AGENTS, TASKS = 5, 20
READS = ("GetItem", "BatchGetItem", "Query", "Scan")


def task(number, agent_id):
    about = {"user_id": "ada", "aggregate_id": f"{agent_id}-t{number}", "aggregate_version": 1}
    return TaskCreatedV1(
        task_id=about["aggregate_id"], agent_id=agent_id, description="do", **about
    )


@pytest.fixture
def graphql(service):
    running = service("graphql")
    for number in range(AGENTS):
        told = [agents.created(f"a{number}"), *(task(each, f"a{number}") for each in range(TASKS))]
        assert running.consume(*told) == []
    return running


@contextmanager
def reads():
    """The calls of the table that are made meanwhile, by their names."""
    made = []
    with before_calls(lambda name: made.append(name) if name in READS else None):
        yield made


def ask(graphql, query):
    with reads() as made:
        answer = graphql.request("POST", "/graphql", {"query": query}).body
    assert "errors" not in answer, answer
    return answer["data"], sorted(made)


def test_an_agent_with_its_tasks_is_two_reads(graphql):
    query = """{ agent(id: "a1") { name tasks { edges { node { id status agent { name } } } } } }"""
    data, made = ask(graphql, query)
    assert len(data["agent"]["tasks"]["edges"]) == TASKS
    assert {edge["node"]["agent"]["name"] for edge in data["agent"]["tasks"]["edges"]} == {"helper"}
    assert made == ["BatchGetItem", "Query"]


def test_tasks_with_their_agents_are_two_reads(graphql):
    data, made = ask(graphql, '{ tasks(agentId: "a1") { edges { node { agent { id } } } } }')
    assert {edge["node"]["agent"]["id"] for edge in data["tasks"]["edges"]} == {"a1"}
    assert made == ["BatchGetItem", "Query"]


def test_objects_by_their_ids_are_one_read_of_a_kind(graphql):
    fields = [
        f'a{n}: agent(id: "a{n}") {{ id }} t{n}: task(agentId: "a{n}", taskId: "a{n}-t1") '
        f"{{ id agent {{ id }} }}"
        for n in range(AGENTS)
    ]
    data, made = ask(graphql, f"{{ {' '.join(fields)} }}")
    assert data["t3"] == {"id": "a3-t1", "agent": {"id": "a3"}}
    assert made == ["BatchGetItem", "BatchGetItem"]


def test_each_list_is_one_read(graphql):
    query = "{ agents { edges { node { tasks { edges { node { id agent { id } } } } } } } }"
    data, made = ask(graphql, query)
    assert len(data["agents"]["edges"]) == AGENTS
    assert made == ["Query"] * (1 + AGENTS)


def test_every_list_is_counted_by_the_limits():
    source = (ROOT / "services/graphql/chalicelib/graphql/schema.graphql").read_text()
    kinds = [kind for kind in build_schema(source).type_map.values() if is_object_type(kind)]
    limited = {
        name for kind in kinds for name, field in kind.fields.items() if "limit" in field.args
    }
    assert limited == set(LISTS)
