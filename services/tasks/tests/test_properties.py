import json
import uuid
from typing import Any, NamedTuple

from hypothesis import event as note
from hypothesis import example, given
from hypothesis import strategies as st

from infra.tests.simulator_client import PROVIDERS, Simulator
from tests import agents
from tests.service import Service, user
from tests.strategies import emptied, json_objects, words

ADA = user("ada")
ERROR_CODES = {"LLM_UNAVAILABLE", "LLM_REFUSED", "LLM_AUTH", "BUDGET_EXCEEDED"}
Reply = dict[str, Any]

descriptions = words | st.text(min_size=1, max_size=2000).filter(str.strip) | st.just("é🤖" * 5000)
planned_steps = st.fixed_dictionaries(
    {"type": st.sampled_from(["reasoning", "response"]), "description": words},
    optional={"answer": st.none() | words},
) | st.fixed_dictionaries(
    {
        "type": st.just("tool_call"),
        "description": words,
        "tool": st.sampled_from(["clock", "none"]),
    },
    optional={"parameters": st.none() | json_objects},
)
plans = st.lists(planned_steps, min_size=1, max_size=5)


def structured(arguments: str) -> Reply:
    """A call of the plan's tool with just these arguments."""
    return {"toolCalls": [{"name": "TaskPlan", "rawArguments": arguments}]}


unusable = st.sampled_from(
    [
        {"plan": {"steps": []}},
        {"plan": {}},
        {"plan": {"steps": "think"}},
        {"plan": {"steps": [{"type": "dance", "description": "a"}]}},
        {"plan": {"steps": [{"type": "response"}]}},
        {"plan": {"steps": [{"type": "response", "description": ""}]}},
        {"plan": {"steps": [{"type": "tool_call", "description": "a", "parameters": "none"}]}},
        {"plan": {"steps": [{"type": "response", "description": "a"}] * 201}},
        {"text": "I would rather tell you: first think, then answer."},
        {"text": ""},
        {"toolCalls": [{"name": "NoSuchTool", "arguments": {"a": 1}}]},
        structured(""),
        structured("{"),
        structured("[]"),
        structured('{"steps": [{"type": "response", "description": "a"}'),
        structured('{"steps": [{"type": "response", "description": "\\ud800"}]}'),
    ]
)
odd_but_usable = st.sampled_from(
    [
        structured('{"steps": [{"type": "reasoning", "description": "a", "mood": NaN}]}'),
        structured(
            '{"steps": [{"type": "tool_call", "description": "a", "tool": "clock",'
            ' "parameters": {"n": NaN, "s": "\\ud800", "big": 1e999}}]}'
        ),
        structured(
            '{"steps": [{"type": "tool_call", "description": "a", "tool": "clock",'
            ' "parameters": ' + '{"a":' * 100 + "1" + "}" * 100 + "}]}"
        ),
    ]
)
temporary = st.sampled_from(
    [{"status": 429}, {"status": 500}, {"status": 529}, {"status": 503}, {"cut": True}]
)
refusals = st.sampled_from([{"status": 400}, {"status": 401}, {"status": 403}, {"status": 404}])


class Model(NamedTuple):
    """How the provider behaves: its replies, after which it is as it always is, or stays."""

    replies: list[Reply]
    for_ever: bool = False


models = st.one_of(
    st.just(Model([])),
    plans.map(lambda steps: Model([{"plan": {"steps": steps}}])),
    st.lists(unusable, min_size=1, max_size=2).map(Model),
    unusable.map(lambda reply: Model([reply], for_ever=True)),
    odd_but_usable.map(lambda reply: Model([reply])),
    refusals.map(lambda reply: Model([reply])),
    st.tuples(
        temporary, st.just({"plan": {"steps": [{"type": "response", "description": "a"}]}})
    ).map(lambda replies: Model(list(replies))),
)


class Planned(NamedTuple):
    task: dict[str, Any]
    answer: dict[str, Any]
    model: str


def create(tasks: Service, description: str, **configuration: Any) -> dict[str, Any]:
    agent_id = str(uuid.uuid4())
    tasks.consume(agents.created(agent_id, **configuration))
    body = {"description": description}
    answer = tasks.request("POST", f"/agents/{agent_id}/tasks", body, by=ADA)
    assert answer.status == 201, answer
    return dict(answer.body)


def read(tasks: Service, task: dict[str, Any]) -> dict[str, Any]:
    answer = tasks.request("GET", f"/agents/{task['agentId']}/tasks/{task['id']}", by=ADA)
    assert answer.status == 200, answer
    return dict(answer.body)


def stored(tasks: Service, task: dict[str, Any], sort_key: str) -> dict[str, Any]:
    key = {"PK": f"TASK#{task['id']}", "SK": sort_key}
    return tasks.table.get_item(Key=key, ConsistentRead=True)["Item"]


def plan(
    tasks: Service, simulator: Simulator, provider: str, description: str, model: Model
) -> Planned:
    """The task after it was planned by a model that behaves so."""
    name = f"model-{uuid.uuid4()}"
    simulator.script(name, *model.replies, repeat_last=model.for_ever)
    task = create(tasks, description, llmProvider=provider, model=name)
    tasks.call("initialize_task", {"taskId": task["id"], "attempt": 1})
    answer = tasks.call("plan_task", {"taskId": task["id"], "attempt": 1})
    return Planned(read(tasks, task), answer, name)


@given(description=descriptions)
def test_property_63_task_persistence(tasks: Service, description: str) -> None:
    """Feature: realtime-agentic-api, Property 63: Task persistence"""
    with emptied(tasks):
        task = create(tasks, description)
        assert task["description"] == description
        assert read(tasks, task) == task
        row = stored(tasks, task, "METADATA")
    expected = {
        "taskId": task["id"],
        "agentId": task["agentId"],
        "userId": "ada",
        "description": description,
        "status": "pending",
        "createdAt": task["createdAt"],
    }
    assert {name: row[name] for name in expected} == expected


@given(provider=st.sampled_from(PROVIDERS), description=descriptions, model=models)
@example(provider="openai", description="a", model=Model([{"status": 500}], for_ever=True))
@example(provider="anthropic", description="a", model=Model([{"status": 429}], for_ever=True))
@example(provider="openai", description="a", model=Model([{"cut": True}], for_ever=True))
def test_property_9_task_decomposition(
    tasks: Service, simulator: Simulator, provider: str, description: str, model: Model
) -> None:
    """Feature: realtime-agentic-api, Property 9: Task decomposition"""
    with emptied(tasks):
        planned = plan(tasks, simulator, provider, description, model)
        task = planned.task
        note(planned.answer["outcome"])
        if planned.answer["outcome"] == "planned":
            steps = task["plan"]["steps"]
            groups = planned.answer["steps"]
            to_do = [i for i, step in enumerate(steps) if step["status"] != "completed"]
            assert [index for group in groups for index in group] == to_do
            assert len(to_do) == len(steps) or (task["status"], len(steps)) == ("completed", 1)
            assert len(steps) == task["totalSteps"] >= 1
            assert steps[-1]["type"] == "response"
            assert task["error"] is None
        else:
            assert planned.answer == {"outcome": "failed", "steps": []}
            assert task["plan"] is None
            assert task["error"]["code"] in ERROR_CODES
            tasks.call("handle_error", {"taskId": task["id"], "attempt": 1})
            assert read(tasks, task)["status"] == "failed"
    assert simulator.seen(planned.model)


@given(provider=st.sampled_from(PROVIDERS), description=descriptions, steps=plans)
def test_property_10_task_plan_persistence(
    tasks: Service,
    simulator: Simulator,
    provider: str,
    description: str,
    steps: list[dict[str, Any]],
) -> None:
    """Feature: realtime-agentic-api, Property 10: Task plan persistence"""
    with emptied(tasks):
        model = Model([{"plan": {"steps": steps}}])
        planned = plan(tasks, simulator, provider, description, model)
        assert planned.answer["outcome"] == "planned"
        found = planned.task["plan"]["steps"]
        kept = json.loads(stored(tasks, planned.task, "PLAN")["plan"])["steps"]
        again = tasks.call("plan_task", {"taskId": planned.task["id"]})
        outcome = "stopped" if planned.task["status"] == "completed" else "planned"
        assert again == planned.answer | {"outcome": outcome}
        assert read(tasks, planned.task) == planned.task
    assert len(simulator.seen(planned.model)) == 1
    added = [] if steps[-1]["type"] == "response" else ["response"]
    assert [step["type"] for step in found] == [step["type"] for step in steps] + added
    for wanted, shown, row in zip(steps, found, kept, strict=False):
        assert shown["description"] == row["description"] == wanted["description"]
        parameters = wanted.get("parameters")
        tool = {"tool": wanted["tool"], "parameters": parameters} if "tool" in wanted else None
        assert shown["input"] == tool
        assert row["parameters"] == parameters
