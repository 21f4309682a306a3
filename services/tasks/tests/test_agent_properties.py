"""What agents do with models and tools: properties, through the service's own functions."""

import itertools
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import common.secrets
import pytest
from chalicelib.tasks import resilience
from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st

from infra.tests.simulator_client import PROVIDERS, Simulator
from services.tasks.tests.conftest import PROVIDER_KEYS
from services.tasks.tests.workbench import (
    FunctionFailed,
    NoAnswer,
    NotThere,
    Toolbox,
    Workbench,
    calls,
    planned,
    thinks,
    tool,
    uses,
)
from tests.service import Service
from tests.strategies import emptied, words

pytestmark = pytest.mark.filterwarnings("ignore:Native structured output")

providers = st.sampled_from(PROVIDERS)
names = st.lists(st.from_regex(r"[a-z]{1,8}", fullmatch=True), min_size=1, max_size=4, unique=True)
numbers = st.integers(0, 10**6)
texts = words
temporary = st.sampled_from([429, 500, 502, 503, 529])
KEYS = {"openai": "authorization", "anthropic": "x-api-key"}
PATHS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}


def results_seen(bench: Workbench, request: int) -> list[tuple[str, bool]]:
    """The tool results in a request, and whether they are marked as errors where that is known."""
    body = bench.asked()[request]["body"]
    if bench.configuration.get("llmProvider") == "anthropic":
        blocks = [
            b for m in body["messages"] if isinstance(m["content"], list) for b in m["content"]
        ]
        found = [b for b in blocks if b["type"] == "tool_result"]
        return [(json.dumps(b["content"]), b.get("is_error", False)) for b in found]
    return [(json.dumps(m["content"]), False) for m in body["messages"] if m["role"] == "tool"]


@contextmanager
def provider_key(provider: str, key: str) -> Iterator[None]:
    """The provider's key, as operators set it; what is kept of the old one is forgotten."""
    name = f"{provider}-key"

    def put(value: str) -> None:
        boto3.client("secretsmanager").put_secret_value(SecretId=name, SecretString=value)
        common.secrets._kept.clear()

    put(key)
    try:
        yield
    finally:
        put("k" * 32)


@contextmanager
def logged(*names: str) -> Iterator[list[Any]]:
    lines: list[Any] = []
    handler = logging.Handler()
    handler.emit = lines.append  # type: ignore[method-assign]
    loggers = [logging.getLogger(name) for name in names]
    for logger in loggers:
        logger.addHandler(handler)
    try:
        yield lines
    finally:
        for logger in loggers:
            logger.removeHandler(handler)


@given(provider=providers, failures=st.lists(temporary, max_size=5))
def test_property_8_llm_retry_behavior(
    tasks: Service, simulator: Simulator, provider: str, failures: list[int]
) -> None:
    """Feature: realtime-agentic-api, Property 8: LLM retry behavior"""
    with emptied(tasks):
        replies = [*({"status": status} for status in failures), planned({"type": "response",
            "description": "a", "answer": "done"})]  # fmt: skip
        bench = Workbench(tasks, simulator, *replies, llmProvider=provider)
        task = bench.run()
        asked = len(bench.asked())
    gives_up = len(failures) > resilience.MAX_RETRIES
    note("gives up" if gives_up else f"{len(failures)} retries")
    assert asked == min(len(failures), resilience.MAX_RETRIES) + 1
    assert task["status"] == ("failed" if gives_up else "completed")
    assert (task["error"] or {}).get("code") == ("LLM_UNAVAILABLE" if gives_up else None)


@given(retried=st.integers(0, 20), asked=st.none() | st.floats(0, 100))
def test_delays_grow_and_have_an_end(retried: int, asked: float | None) -> None:
    bound = min(resilience.LONGEST_DELAY_SECONDS, 0.1 * 2 ** (retried + 1))
    delay = resilience.delay_seconds(retried, asked)
    least = min(asked or 0, resilience.LONGEST_DELAY_SECONDS)
    assert least <= delay <= max(bound, least)


@st.composite
def decisions(draw: st.DrawFn) -> tuple[list[dict[str, Any]], int]:
    options = draw(names.filter(lambda found: len(found) > 1))
    chosen = draw(st.integers(0, len(options) - 1))
    return [{"name": name, "description": f"if {name}"} for name in options], chosen


@given(provider=providers, decision=decisions(), rationale=texts)
def test_property_14_decision_point_evaluation(
    tasks: Service,
    simulator: Simulator,
    provider: str,
    decision: tuple[list[dict[str, Any]], int],
    rationale: str,
) -> None:
    """Feature: realtime-agentic-api, Property 14: Decision point evaluation"""
    options, chosen = decision
    name = options[chosen]["name"]
    branches = [thinks(onlyIf={"decision": 1, "option": each["name"]}) for each in options]
    steps = [{"type": "decision", "description": "Which?", "options": options}, *branches]
    choice = calls(("Choice", {"option": name, "rationale": rationale}))
    with emptied(tasks):
        bench = Workbench(tasks, simulator, planned(*steps), choice, llmProvider=provider)
        task = bench.run()
        asked = bench.asked()
    assert task["status"] == "completed"
    consulted = json.dumps(asked[1]["body"])
    assert all(option["name"] in consulted for option in options)
    statuses = [step["status"] for step in task["plan"]["steps"][1:-1]]
    assert statuses == ["completed" if each["name"] == name else "skipped" for each in options]
    assert len(asked) == 4, "plan, decision, the branch that was chosen, and the answer"


@given(provider=providers, thoughts=st.lists(texts, min_size=2, max_size=4))
def test_property_15_reasoning_trace_persistence(
    tasks: Service, simulator: Simulator, provider: str, thoughts: list[str]
) -> None:
    """Feature: realtime-agentic-api, Property 15: Reasoning trace persistence"""
    with emptied(tasks):
        script = [planned(*(thinks() for _ in thoughts)), *({"text": text} for text in thoughts)]
        bench = Workbench(tasks, simulator, *script, llmProvider=provider)
        assert bench.run()["status"] == "completed"
        trace = bench.get("/trace")
    assert [step["thoughts"] for step in trace["steps"][:-1]] == [[t.strip()] for t in thoughts]
    assert [step["id"] for step in trace["steps"]] == [
        f"step-{number:03d}" for number in range(1, len(thoughts) + 2)
    ]


@given(provider=providers, decision=decisions(), rationale=texts)
def test_property_16_decision_logging(
    tasks: Service,
    simulator: Simulator,
    provider: str,
    decision: tuple[list[dict[str, Any]], int],
    rationale: str,
) -> None:
    """Feature: realtime-agentic-api, Property 16: Decision logging"""
    options, chosen = decision
    made = {"option": options[chosen]["name"], "rationale": rationale}
    step = {"type": "decision", "description": "Which?", "options": options}
    with emptied(tasks):
        bench = Workbench(
            tasks, simulator, planned(step), calls(("Choice", made)), llmProvider=provider
        )
        task = bench.run()
        traced = bench.get("/trace")["steps"][0]
    assert task["plan"]["steps"][0]["decision"] == traced["decision"] == made


@given(provider=providers, wanted=st.lists(numbers, min_size=1, max_size=3))
def test_property_17_tool_invocation_for_information_gathering(
    tasks: Service, simulator: Simulator, provider: str, wanted: list[int]
) -> None:
    """Feature: realtime-agentic-api, Property 17: Tool invocation for information gathering"""
    asks = [calls(("lookup", {"n": n})) for n in wanted]
    with emptied(tasks):
        bench = Workbench(
            tasks,
            simulator,
            *(planned(thinks()), *asks, {"text": "known now"}),
            llmProvider=provider,
            tools=[tool("lookup")],
        )
        task = bench.run()
    assert task["plan"]["steps"][0]["output"] == "known now"
    assert [call["parameters"]["n"] for call in bench.toolbox.calls] == wanted


@given(provider=providers, known=names, asked=names)
def test_property_18_tool_selection(
    tasks: Service, simulator: Simulator, provider: str, known: list[str], asked: list[str]
) -> None:
    """Feature: realtime-agentic-api, Property 18: Tool selection"""
    turn = calls(*((name, {"n": 1}) for name in asked))
    with emptied(tasks):
        bench = Workbench(
            tasks,
            simulator,
            *(planned(thinks()), turn, {"text": "ok"}),
            llmProvider=provider,
            tools=[tool(name) for name in known],
        )
        assert bench.run()["status"] == "completed"
        told = results_seen(bench, 2)
    selected = [name for name in asked if name in known]
    note(f"{len(selected)} of {len(asked)} known")
    assert [call["function"] for call in bench.toolbox.calls] == [
        f"agentic-tool-{name}" for name in selected
    ]
    assert len(told) == len(asked), "every request of the model is answered"


arguments = st.one_of(
    st.fixed_dictionaries({"n": numbers}),
    st.fixed_dictionaries({"n": st.integers(max_value=-1) | st.text() | st.none()}),
    st.fixed_dictionaries({"n": numbers, "more": st.booleans()}),
    st.just({}),
)


def is_valid(given_: dict[str, Any]) -> bool:
    n = given_.get("n")
    return given_.keys() == {"n"} and type(n) is int and n >= 0


@given(provider=providers, parameters=arguments)
def test_property_19_tool_parameter_validation(
    tasks: Service, simulator: Simulator, provider: str, parameters: dict[str, Any]
) -> None:
    """Feature: realtime-agentic-api, Property 19: Tool parameter validation"""
    with emptied(tasks):
        bench = Workbench(
            tasks,
            simulator,
            *(planned(thinks()), calls(("lookup", parameters)), {"text": "ok"}),
            llmProvider=provider,
            tools=[tool("lookup")],
        )
        assert bench.run()["status"] == "completed"
        ((told, _),) = results_seen(bench, 2)
    note("valid" if is_valid(parameters) else "invalid")
    assert [call["parameters"] for call in bench.toolbox.calls] == [parameters] * is_valid(
        parameters
    )
    assert ("Invalid parameters" in told) != is_valid(parameters)


@given(provider=providers, result=st.recursive(texts | numbers, lambda v: st.lists(v, max_size=3)))
def test_property_20_tool_result_handling(
    tasks: Service, simulator: Simulator, provider: str, result: Any
) -> None:
    """Feature: realtime-agentic-api, Property 20: Tool result handling"""
    toolbox = Toolbox()
    toolbox.behaviour = lambda request: {"found": result}
    with emptied(tasks):
        bench = Workbench(
            tasks,
            simulator,
            *(planned(thinks()), calls(("lookup", {"n": 1})), {"text": "ok"}),
            toolbox=toolbox,
            llmProvider=provider,
            tools=[tool("lookup")],
        )
        bench.run()
        ((told, failed),) = results_seen(bench, 2)
    assert json.dumps(json.dumps({"found": result}))[1:-1] in told
    assert not failed


def fails(request: dict[str, Any]) -> Any:
    raise FunctionFailed("Traceback: arn:aws:lambda:secret")


def is_missing(request: dict[str, Any]) -> Any:
    raise NotThere


def is_silent(request: dict[str, Any]) -> Any:
    raise NoAnswer


@given(
    provider=providers,
    behaviour=st.sampled_from([fails, is_missing, is_silent, lambda request: b"no {json"]),
)
def test_property_21_tool_failure_handling(
    tasks: Service, simulator: Simulator, provider: str, behaviour: Any
) -> None:
    """Feature: realtime-agentic-api, Property 21: Tool failure handling"""
    toolbox = Toolbox()
    toolbox.behaviour = behaviour
    with emptied(tasks):
        bench = Workbench(
            tasks,
            simulator,
            *(planned(thinks()), calls(("lookup", {"n": 1})), {"text": "I will do without"}),
            toolbox=toolbox,
            llmProvider=provider,
            tools=[tool("lookup")],
        )
        task = bench.run()
        ((told, failed),) = results_seen(bench, 2)
        (invocation,) = bench.invocations()
    assert task["status"] == "completed"
    assert "The tool" in told
    assert "arn:" not in told
    assert "Traceback" not in told
    assert failed == (provider == "anthropic"), "the other format has no mark for it"
    assert invocation["status"] == "failed"


@given(
    provider=providers, uses_=st.lists(st.tuples(numbers, st.booleans()), min_size=1, max_size=4)
)
def test_property_22_tool_invocation_logging(
    tasks: Service, simulator: Simulator, provider: str, uses_: list[tuple[int, bool]]
) -> None:
    """Feature: realtime-agentic-api, Property 22: Tool invocation logging"""
    toolbox = Toolbox()
    failing = {n for n, works in uses_ if not works}
    toolbox.behaviour = lambda request: (
        fails(request) if request["parameters"]["n"] in failing else {"ok": True}
    )
    script = calls(*(("lookup", {"n": n}) for n, _ in uses_))
    with emptied(tasks):
        bench = Workbench(
            tasks,
            simulator,
            *(planned(thinks(), uses("lookup", parameters={"n": 7})), script, {"text": "ok"}),
            toolbox=toolbox,
            llmProvider=provider,
            tools=[tool("lookup")],
        )
        bench.run()
        logged = bench.invocations()
    assert [each["parameters"]["n"] for each in logged] == [*(n for n, _ in uses_), 7]
    assert [call["idempotencyKey"] for call in toolbox.calls] == [each["id"] for each in logged]
    for each in logged:
        failed = each["parameters"]["n"] in failing
        assert each["status"] == ("failed" if failed else "succeeded")
        assert each["startedAt"] <= each["completedAt"]
        assert each["durationMs"] >= 0
        assert each["output"] == ("The tool failed" if failed else '{"ok": true}')


@given(provider=providers, failing=st.booleans(), thoughts=st.lists(texts, max_size=2))
def test_property_57_configured_provider_usage(
    tasks: Service, simulator: Simulator, provider: str, failing: bool, thoughts: list[str]
) -> None:
    """Feature: realtime-agentic-api, Property 57: Configured provider usage"""
    with emptied(tasks):
        script = [planned(*(thinks() for _ in thoughts)) if thoughts else planned(
            {"type": "response", "description": "a"})]  # fmt: skip
        last = [{"status": 503}] * 4 if failing else []
        bench = Workbench(
            tasks, simulator, *script, *({"text": t} for t in thoughts), *last, llmProvider=provider
        )
        task = bench.run()
        asked = bench.asked()
    assert task["status"] == ("failed" if failing else "completed")
    assert {request["path"] for request in asked} == {PATHS[provider]}
    assert len(asked) == len(thoughts) + (5 if failing else 2)


@given(provider=providers, key=st.sampled_from(PROVIDER_KEYS), description=texts)
def test_property_58_api_key_inclusion(
    tasks: Service, simulator: Simulator, provider: str, key: str, description: str
) -> None:
    """Feature: realtime-agentic-api, Property 58: API key inclusion"""
    with emptied(tasks), provider_key(provider, key):
        bench = Workbench(tasks, simulator, llmProvider=provider)
        bench.task_id = bench.new_task(description)
        assert bench.run()["status"] == "completed"
        headers = [request["headers"] for request in bench.asked()]
    said = f"Bearer {key}" if provider == "openai" else key
    assert headers
    assert {header[KEYS[provider]] for header in headers} == {said}


@given(provider=providers, status=temporary, times=st.integers(1, 4))
def test_property_59_llm_failure_retry(
    tasks: Service, simulator: Simulator, provider: str, status: int, times: int
) -> None:
    """Feature: realtime-agentic-api, Property 59: LLM failure retry"""
    with emptied(tasks), logged("chalicelib.tasks.resilience", "chalicelib.tasks.runtime") as lines:
        bench = Workbench(tasks, simulator, *[{"status": status}] * times, llmProvider=provider)
        task = bench.run()
        asked = bench.asked()
    retried = [line for line in lines if hasattr(line, "retry")]
    assert [line.retry for line in retried] == list(range(1, min(times, 3) + 1))
    assert all(line.delaySeconds >= 0 for line in retried)
    given_up = [line for line in lines if line.levelname == "ERROR"]
    assert len(given_up) == (times > resilience.MAX_RETRIES)
    assert task["status"] == ("failed" if given_up else "completed")
    gaps = [b["receivedAt"] - a["receivedAt"] for a, b in itertools.pairwise(asked)]
    for gap, line in zip(gaps, retried, strict=False):
        assert gap >= line.delaySeconds


@given(first=providers, n=numbers, said=texts)
def test_property_60_provider_format_adaptation(
    tasks: Service, simulator: Simulator, first: str, n: int, said: str
) -> None:
    """Feature: realtime-agentic-api, Property 60: Provider format adaptation"""
    (second,) = {*PROVIDERS} - {first}
    with emptied(tasks):
        bench = Workbench(
            tasks,
            simulator,
            *(planned(thinks()), {**calls(("lookup", {"n": n})), "text": said}, {"text": "ok"}),
            llmProvider=first,
            tools=[tool("lookup")],
        )
        bench.toolbox.behaviour = lambda request: out_of_time(tasks)
        bench.plan()
        assert bench.step() == "continue"
        tasks.seconds_left = 300
        bench.reconfigure(llmProvider=second, tools=[tool("lookup")])
        bench.configuration["llmProvider"] = second
        assert bench.step() == "completed"
        before, after = bench.asked()[-2:]
        ((told, _),) = results_seen(bench, len(bench.asked()) - 1)
    assert (before["path"], after["path"]) == (PATHS[first], PATHS[second])
    assert "in time" in told
    assert json.dumps(said.strip())[1:-1] in json.dumps(after["body"])
    assert len(bench.toolbox.calls) == 1


def out_of_time(tasks: Service) -> dict[str, str]:
    tasks.seconds_left = 1
    return {"found": "in time"}
