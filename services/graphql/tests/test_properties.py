"""Whatever clients ask for, they are told what the table has."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from common.clock import new_id
from common.events.agents import AgentCreatedV1
from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st

from tests import strategies
from tests.service import Service, running

Node = dict[str, Any]

CONFIGURATION = {
    "llmProvider": None,
    "model": None,
    "systemPrompt": None,
    "temperature": None,
    "maxTokens": None,
    "tools": {"name": None, "description": None, "parameters": None, "handler": None},
    "memoryConfig": {
        "maxContextLength": None,
        "summarizationThreshold": None,
        "retentionPolicy": None,
    },
}
TASK = {
    "__typename": None,
    **dict.fromkeys(("id", "agentId", "description", "status", "currentStep", "totalSteps")),
    **dict.fromkeys(("result", "resultTruncated", "createdAt", "completedAt")),
    "error": {"code": None, "message": None},
    "agent": {"id": None, "name": None, "status": None},
}
AGENT = {
    "__typename": None,
    **dict.fromkeys(("id", "name", "status", "createdAt", "updatedAt")),
    "configuration": CONFIGURATION,
    "tasks": TASK,
}
"""What can be asked for, and what of it has parts; `tasks` and `agents` are connections."""


class Asked(NamedTuple):
    """A field with what is wanted of it, under the name that the answer has it by."""

    alias: str
    name: str
    wanted: "list[Asked] | None"
    limit: int | None = None

    def text(self, arguments: str = "") -> str:
        inner = " ".join(each.text() for each in self.wanted or ())
        if self.name in ("tasks", "agents"):
            limit = f"limit: {self.limit}" if self.limit else ""
            arguments = ", ".join(filter(None, (arguments, limit)))
            inner = f"edges {{ node {{ {inner} }} }} pageInfo {{ hasNextPage }}"
        told = f"({arguments})" if arguments else ""
        called = f"{self.alias}: " if self.is_aliased else ""
        return f"{called}{self.name}{told}" + (f" {{ {inner} }}" if inner else "")

    @property
    def is_aliased(self) -> bool:
        return self.alias != self.name

    @property
    def aliases(self) -> int:
        return self.is_aliased + sum(each.aliases for each in self.wanted or ())

    def expected(self, of: Node) -> Any:
        """Read from what the table has, in the most obvious way."""
        value = of.get(self.name)
        if self.wanted is None or value is None:
            return value
        if self.name in ("tasks", "agents"):
            first = value[: self.limit or 20]
            edges = [{"node": self._expected(node)} for node in first]
            return {"edges": edges, "pageInfo": {"hasNextPage": len(first) < len(value)}}
        if isinstance(value, list):
            return [self._expected(each) for each in value]
        return self._expected(value)

    def _expected(self, node: Node) -> Node:
        return {each.alias: each.expected(node) for each in self.wanted or ()}


def asked(name: str, parts: Node | None) -> st.SearchStrategy[Asked]:
    alias = st.sampled_from([name, name, f"x_{name}"])
    limit = st.none() | st.integers(1, 4)
    if parts is None:
        return st.builds(Asked, alias, st.just(name), st.none(), st.none())
    inner = st.lists(st.sampled_from(sorted(parts)), min_size=1, max_size=4, unique=True).flatmap(
        lambda chosen: st.tuples(*(asked(each, parts[each]) for each in chosen)).map(list)
    )
    return st.builds(Asked, alias, st.just(name), inner, limit).filter(lambda it: it.aliases < 8)


class World(NamedTuple):
    created: list[AgentCreatedV1]
    stories: list[list[strategies.TaskStory]]


def agent_created(agent: Node, second: int) -> AgentCreatedV1:
    id = new_id()
    about: Node = {"user_id": "ada", "aggregate_id": id, "aggregate_version": 1}
    return AgentCreatedV1(
        agent_id=id, timestamp=f"2030-01-01T00:00:{second:02d}.000Z", **agent, **about
    )


worlds = st.lists(
    st.tuples(strategies.agents, strategies.task_stories(most=4)), min_size=1, max_size=3
).map(
    lambda told: World(
        [agent_created(agent, second) for second, (agent, _) in enumerate(told)],
        [stories for _, stories in told],
    )
)


@pytest.fixture(scope="module")
def graphql() -> Iterator[Service]:
    with running("graphql") as service:
        yield service


def graph_of(rows: list[Node]) -> Node:
    """The rows of the table as nodes that lead to each other, newest first."""
    shown = [row for row in rows if row["SK"] == "METADATA"]
    newest = sorted(shown, key=lambda row: str(row["GSI1SK"]), reverse=True)
    agents = {row["agentId"]: _agent(row) for row in newest if row["PK"].startswith("AGENT#")}
    tasks = [_task(row) for row in newest if row["PK"].startswith("TASK#")]
    for task in tasks:
        task["agent"] = agents[task["agentId"]]
        agents[task["agentId"]]["tasks"].append(task)
    return {"agents": list(agents.values()), "tasks": tasks}


def _agent(row: Node) -> Node:
    configuration = json.loads(row["configuration"])
    configuration["llmProvider"] = configuration["llmProvider"].upper()
    told = {"id": row["agentId"], "__typename": "Agent", "tasks": []}
    return {**row, **told, "configuration": configuration, "status": row["status"].upper()}


def _task(row: Node) -> Node:
    error = (
        {"code": row["errorCode"], "message": row["errorMessage"]} if "errorCode" in row else None
    )
    numbers = {name: int(row[name]) for name in ("currentStep", "totalSteps")}
    told = {"id": row["taskId"], "__typename": "Task", "error": error}
    return {**row, **told, **numbers, "status": row["status"].upper()}


@given(
    world=worlds,
    everything=asked("agents", AGENT),
    of_agent=asked("agent", AGENT),
    of_task=asked("task", TASK),
    of_tasks=asked("tasks", TASK),
)
def test_property_50_graphql_query_resolution(
    graphql: Service,
    world: World,
    everything: Asked,
    of_agent: Asked,
    of_task: Asked,
    of_tasks: Asked,
) -> None:
    """Feature: realtime-agentic-api, Property 50: GraphQL query resolution"""
    with strategies.emptied(graphql):
        for created, stories in zip(world.created, world.stories, strict=True):
            told = [event for story in stories for event in story.events(created.agent_id)]
            assert graphql.consume(created, *told) == []
        graph = graph_of(graphql.rows())
        agent, task = graph["agents"][-1], graph["tasks"][0]
        ids = f'agentId: "{task["agentId"]}", taskId: "{task["id"]}"'
        fields = (
            everything.text(),
            of_agent.text(f'id: "{agent["id"]}"'),
            of_task.text(ids),
            of_tasks.text(f'agentId: "{agent["id"]}"'),
        )
        answer = graphql.request("POST", "/graphql", {"query": f"{{ {' '.join(fields)} }}"})
    assert answer.body == {
        "data": {
            everything.alias: everything.expected(graph),
            of_agent.alias: of_agent.expected({"agent": agent}),
            of_task.alias: of_task.expected({"task": task}),
            of_tasks.alias: of_tasks.expected(agent),
        }
    }
    note(f"{len(graph['agents'])} agents, {len(graph['tasks'])} tasks")
