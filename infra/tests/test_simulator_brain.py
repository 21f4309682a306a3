"""What the simulated model says when no script tells it."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from infra.local.simulator.arithmetic import find_expression, solve
from infra.local.simulator.brain import respond
from infra.local.simulator.exchange import Json, Message, Reply, Request, Tool
from infra.local.simulator.planning import plan
from infra.local.simulator.schemas import minimal

EXPRESSION = {"properties": {"expression": {"type": "string"}}, "required": ["expression"]}
CALCULATOR = Tool("calculator", "Evaluates arithmetic", EXPRESSION)
CLOCK = Tool("clock", "The current time", {"type": "object", "properties": {}})
ACTIONS = {"type": "string", "enum": ["put", "get", "list"]}
NOTE = {"action": ACTIONS, "key": {"type": "string"}, "value": {"type": "string"}}
NOTES = Tool("notes", "Keeps notes", {"properties": NOTE, "required": ["action"]})
CITY = {"properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = Tool("weather_report", "Looks outside", CITY)
TOOLS = (CALCULATOR, CLOCK, NOTES, WEATHER)


def say(text: str, *tools: Tool) -> Reply:
    return respond(Request("openai", "m", "", (Message("user", text),), tools))


def step(task: str, kind: str, description: str, results: Sequence[Json] = ()) -> str:
    listed = json.dumps(list(results))
    return (
        f"<task>{task}</task>\n<results>{listed}</results>\n"
        f'<step type="{kind}">{description}</step>'
    )


@pytest.mark.parametrize(
    ("text", "solution"),
    [
        ("What is 12 * (7 + 3)?", "12 * (7 + 3) = 120"),
        ("multiply 6 by 7", "6 * 7 = 42"),
        ("Add 2 and 3", "2 + 3 = 5"),
        ("subtract 3 from 10", "10 - 3 = 7"),
        ("What is 17% of 250?", "250 * 17 / 100 = 42.5"),
        ("1,000 divided by 8", "1000 / 8 = 125"),
        ("the sum of 1, 2 and 3", "1 + 2 + 3 = 6"),
        ("What is 1 / 0?", "1 / 0 has no value (division by zero)"),
        ("9 ** 9 ** 9", "9 ** 9 ** 9 has no value (the power is too large)"),
    ],
)
def test_arithmetic_is_found_and_solved(text: str, solution: str) -> None:
    assert solve(text) == solution


@pytest.mark.parametrize("text", ["open 24/7", "pick 3-5 items", "on 2024-11-15", "version 2.0"])
def test_not_every_number_is_arithmetic(text: str) -> None:
    assert find_expression(text) is None


@pytest.mark.parametrize(
    ("task", "tool", "parameters"),
    [
        ("What is 2 + 3?", "calculator", {"expression": "2 + 3"}),
        ("What time is it?", "clock", {}),
        ("List my notes", "notes", {"action": "list"}),
        ("What was my car in your notes?", "notes", {"action": "get", "key": "car"}),
        ("Remember that my car is red", "notes", {"action": "put", "key": "car", "value": "red"}),
        ("A weather report for New York", "weather_report", {"city": "New York"}),
    ],
)
def test_a_task_finds_its_tool(task: str, tool: str, parameters: Json) -> None:
    call, response = plan(task, TOOLS)["steps"]
    assert (call["type"], call["tool"], call["parameters"]) == ("tool_call", tool, parameters)
    assert (response["type"], response["answer"]) == ("response", None)
    [spoken] = say(task, *TOOLS).tool_calls
    assert (spoken.name, spoken.arguments) == (tool, parameters)


def test_a_plain_question_is_answered_in_the_plan() -> None:
    [only] = plan("What is the capital of France?", TOOLS)["steps"]
    assert (only["type"], only["answer"]) == ("response", "The capital of France is Paris.")


def test_clauses_become_steps() -> None:
    task = "First add 2 and 3, then multiply the result by 10, finally describe the outcome"
    steps = plan(task, TOOLS)["steps"]
    assert [each["type"] for each in steps] == ["tool_call", "tool_call", "reasoning", "response"]
    assert steps[1]["parameters"] == {"expression": "(2 + 3) * 10"}
    for listed in ("1. Read it 2. Judge it", "Read it; judge it", "- Read it\n- Judge it"):
        kinds = [each["type"] for each in plan(listed, TOOLS)["steps"]]
        assert kinds == ["reasoning", "reasoning", "response"]


def test_step_by_step_reasons_before_it_responds() -> None:
    steps = plan("Explain gravity step by step", ())["steps"]
    assert [(each["type"], each["answer"]) for each in steps] == [
        ("reasoning", None),
        ("response", None),
    ]


def test_steps_are_carried_out() -> None:
    task = "What is 12 * (7 + 3)?"
    outcome = {"step": "calculate", "output": '{"result": 120}'}
    failure = {"step": "look up", "output": '{"error": "no such note"}'}
    assert "Weigh it" in say(step(task, "reasoning", "Weigh it")).text
    assert say(step(task, "response", "Answer", [outcome])).text == "12 * (7 + 3) = 120"
    both = say(step("Do both", "response", "Answer", [outcome, failure])).text
    assert "120" in both
    assert "no such note" in both
    [call] = say(step(task, "tool_call", "Calculate it", []), CALCULATOR, CLOCK).tool_calls
    assert (call.name, call.arguments) == ("calculator", {"expression": "12 * (7 + 3)"})


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "integer", "minimum": 3, "multipleOf": 2}, 4),
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 1}, 0.5),
        ({"type": "integer", "maximum": -2}, -2),
        ({"type": "string", "minLength": 6}, "textxx"),
        ({"type": "array", "items": {"enum": ["a"]}, "minItems": 2}, ["a", "a"]),
        ({"$ref": "#/$defs/A", "$defs": {"A": {"type": "boolean"}}}, False),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "text"),
    ],
)
def test_schemas_get_their_smallest_value(schema: Json, value: Any) -> None:
    assert minimal(schema) == value


def test_the_same_request_gets_the_same_answer() -> None:
    assert say("Tell me about rain") == say("Tell me about rain")
    assert "Tell me about rain" in say("Tell me about rain").text
