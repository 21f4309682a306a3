"""REST and GraphQL say the same of the same history, once everything that happened was heard of."""

from typing import Any, Literal, NamedTuple, get_args

from common.events.base import Event
from common.events.catalogue import CATALOGUE
from hypothesis import event as note
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.service import Service, running

AGENTS = """{ agents(limit: 100) { edges { node { id name status createdAt updatedAt
  configuration { llmProvider model systemPrompt temperature maxTokens cacheResponses
    approvalPolicy { tools steps expiresAfterSeconds }
    tools { name description parameters handler sideEffects } } } } } }"""
TASKS = """query($id: ID!) { tasks(agentId: $id, limit: 100) { edges { node {
  id agentId description status currentStep totalSteps result attempt createdAt completedAt
  error { code message } } } } }"""
TASK_FIELDS = ("id", "agentId", "description", "currentStep", "totalSteps", "result", "attempt")
TASK_TIMES = ("createdAt", "completedAt")
KINDS = {entry.event.__name__: entry.event for entry in CATALOGUE}
Fate = Literal["pending", "cancelled", "failed", "retried"]


class Wanted(NamedTuple):
    """What is done to one agent, in order: updates, tasks and what becomes of them, deletion."""

    agent: dict[str, Any]
    updates: list[dict[str, Any]]
    tasks: list[Fate]
    is_deleted: bool


histories = st.lists(
    st.builds(
        Wanted,
        strategies.agents,
        st.lists(strategies.updates, max_size=2),
        st.lists(st.sampled_from(get_args(Fate)), max_size=3),
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
            for fate in wanted.tasks:
                body = {"description": "anything"}
                task = service.request("POST", f"/agents/{id}/tasks", body).body["id"]
                if fate in ("failed", "retried"):
                    service.call("handle_error", {"taskId": task, "attempt": 1})
                if fate in ("cancelled", "retried"):
                    path = f"/agents/{id}/tasks/{task}/{'cancel' if fate[0] == 'c' else 'retry'}"
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
    names = ("llmProvider", "model", *optional)
    configuration = optional | {name: sent[name] for name in names if name in sent}
    configuration["llmProvider"] = configuration["llmProvider"].upper()
    configuration["cacheResponses"] = sent.get("cacheResponses") or False
    configuration["approvalPolicy"] = policy_as_told(sent.get("approvalPolicy"))
    configuration["tools"] = [tool_as_told(tool) for tool in sent["tools"]]
    fields = {name: agent[name] for name in ("id", "name", "createdAt", "updatedAt")}
    return fields | {"status": agent["status"].upper(), "configuration": configuration}


def tool_as_told(tool: dict[str, Any]) -> dict[str, Any]:
    return tool | {"sideEffects": (tool.get("sideEffects") or "idempotent").upper()}


def policy_as_told(policy: dict[str, Any] | None) -> dict[str, Any] | None:
    if policy is None:
        return None
    steps = [kind.upper() for kind in policy.get("steps") or []]
    expiry = policy.get("expiresAfterSeconds") or 24 * 3600
    return {"tools": policy.get("tools") or [], "steps": steps, "expiresAfterSeconds": expiry}


def task_as_told(task: dict[str, Any]) -> dict[str, Any]:
    error = task["error"] and {name: task["error"][name] for name in ("code", "message")}
    told = {name: task[name] for name in (*TASK_FIELDS, *TASK_TIMES)}
    return told | {"status": task["status"].upper(), "error": error}
