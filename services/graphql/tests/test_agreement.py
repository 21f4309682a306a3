"""REST and GraphQL say the same of the same history, once everything that happened was heard of."""

from typing import Any, NamedTuple

from common.events.base import Event
from common.events.catalogue import CATALOGUE
from hypothesis import event as note
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.service import Service, running

AGENTS = """{ agents(limit: 100) { edges { node { id name status createdAt updatedAt
  configuration { llmProvider model systemPrompt temperature maxTokens
    tools { name description parameters handler } } } } } }"""
TASKS = """query($id: ID!) { tasks(agentId: $id, limit: 100) { edges { node {
  id agentId description status currentStep totalSteps result createdAt completedAt } } } }"""
TASK_FIELDS = ("id", "agentId", "description", "currentStep", "totalSteps", "result")
KINDS = {entry.event.__name__: entry.event for entry in CATALOGUE}


class Wanted(NamedTuple):
    """What is done to one agent, in order: updates, tasks of which some are cancelled, deletion."""

    agent: dict[str, Any]
    updates: list[dict[str, Any]]
    tasks: list[bool]
    is_deleted: bool


histories = st.lists(
    st.builds(
        Wanted,
        strategies.agents,
        st.lists(strategies.updates, max_size=2),
        st.lists(st.booleans(), max_size=3),
        st.booleans(),
    ),
    min_size=1,
    max_size=3,
)


def announced(service: Service) -> list[Event]:
    return [
        KINDS[f"{told['detail-type']}V{told['detail']['version']}"].model_validate(told["detail"])
        for told in service.outbox()
    ]


def in_agents(history: list[Wanted]) -> tuple[list[dict[str, Any]], list[str], list[Event]]:
    """What REST says in the end, the ids in the order of the history, and what was announced."""
    ids = []
    with running("agents") as service:
        for wanted in history:
            id = service.request("POST", "/agents", wanted.agent).body["id"]
            ids.append(id)
            for update in wanted.updates:
                assert service.request("PUT", f"/agents/{id}", update).status == 200
            if wanted.is_deleted:
                assert service.request("DELETE", f"/agents/{id}").status == 204
        shown = service.request("GET", "/agents?limit=100").body["items"]
        return shown, ids, announced(service)


def in_tasks(
    history: list[Wanted], ids: list[str], heard: list[Event]
) -> tuple[dict[str, list[dict[str, Any]]], list[Event]]:
    with running("tasks") as service:
        for event in heard:
            if event.detail_type() != "AgentDeleted":
                service.consume(event)
        for wanted, id in zip(history, ids, strict=True):
            for is_cancelled in wanted.tasks:
                body = {"description": "anything"}
                task = service.request("POST", f"/agents/{id}/tasks", body).body
                if is_cancelled:
                    path = f"/agents/{id}/tasks/{task['id']}/cancel"
                    assert service.request("POST", path).status == 200
        lists = {id: service.request("GET", f"/agents/{id}/tasks?limit=100") for id in ids}
        shown = {id: answer.body["items"] for id, answer in lists.items()}
        return shown, announced(service)


@settings(max_examples=10)
@given(history=histories, random=st.randoms(use_true_random=False))
def test_rest_and_graphql_agree(history: list[Wanted], random: Any) -> None:
    agents, ids, of_agents = in_agents(history)
    tasks, of_tasks = in_tasks(history, ids, of_agents)
    happened = [*of_agents, *of_tasks]
    delivered = happened + random.sample(happened, len(happened) // 2)
    random.shuffle(delivered)
    with running("graphql") as graphql:
        listens = [
            event for event in delivered if type(event) in graphql.module.consumers.functions
        ]
        assert graphql.consume(*listens) == []
        told = graphql.request("POST", "/graphql", {"query": AGENTS}).body["data"]["agents"]
        assert [edge["node"] for edge in told["edges"]] == [as_told(each) for each in agents]
        for agent in agents:
            asked = {"query": TASKS, "variables": {"id": agent["id"]}}
            answer = graphql.request("POST", "/graphql", asked).body["data"]["tasks"]
            nodes = [edge["node"] for edge in answer["edges"]]
            expected = [task_as_told(each) for each in tasks[agent["id"]]]
            assert nodes == expected
    note(f"{len(agents)} agents, {sum(map(len, tasks.values()))} tasks, {len(delivered)} events")


def as_told(agent: dict[str, Any]) -> dict[str, Any]:
    sent = agent["configuration"]
    optional = dict.fromkeys(("systemPrompt", "temperature", "maxTokens"))
    names = ("llmProvider", "model", "tools", *optional)
    configuration = optional | {name: sent[name] for name in names if name in sent}
    configuration["llmProvider"] = configuration["llmProvider"].upper()
    fields = {name: agent[name] for name in ("id", "name", "createdAt", "updatedAt")}
    return fields | {"status": agent["status"].upper(), "configuration": configuration}


def task_as_told(task: dict[str, Any]) -> dict[str, Any]:
    times = {name: task[name] for name in ("createdAt", "completedAt")}
    return {name: task[name] for name in TASK_FIELDS} | times | {"status": task["status"].upper()}
