"""The model simulator through the providers' own SDKs and through Strands."""

import json
from collections.abc import Iterator
from typing import Any, Literal
from uuid import uuid4

import pytest
from pydantic import BaseModel, Field
from strands import tool
from strands.types.exceptions import StructuredOutputException

from infra.tests.simulator_client import KEYS, PATHS, PROVIDERS, Simulator, running, turn

ASKED: Any = [{"role": "user", "content": "a b c"}]
CALCULATOR = {
    "name": "calculator",
    "description": "Evaluates arithmetic",
    "parameters": {"type": "object", "properties": {"expression": {"type": "string"}}},
}


class Step(BaseModel):
    type: Literal["reasoning", "tool_call", "response"]
    description: str
    tool: str | None = None
    parameters: dict[str, Any] | None = None
    answer: str | None = None


class TaskPlan(BaseModel):
    """The steps of a task."""

    steps: list[Step] = Field(min_length=1)


class Rating(BaseModel):
    """How good it is."""

    verdict: Literal["good", "bad"]
    stars: int = Field(ge=1, le=5)
    reasons: list[str] = Field(min_length=1)


class Postcode(BaseModel):
    code: str = Field(pattern=r"^\d{5}$")


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with running() as simulator:
        yield simulator


@pytest.fixture
def model() -> str:
    return f"model-{uuid4().hex[:8]}"


def test_openai_text_is_exact_whole_and_streamed(simulator: Simulator, model: str) -> None:
    simulator.script(model, {"text": "one  two\nthree"}, repeat_last=True)
    whole = simulator.openai.chat.completions.create(model=model, messages=ASKED)
    assert whole.choices[0].message.content == "one  two\nthree"
    assert whole.usage is not None
    assert (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (3, 3)
    chunks = list(
        simulator.openai.chat.completions.create(
            model=model, messages=ASKED, stream=True, stream_options={"include_usage": True}
        )
    )
    words = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert [word for word in words if word] == ["one  ", "two\n", "three"]
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 6
    unasked = simulator.openai.chat.completions.create(model=model, messages=ASKED, stream=True)
    assert all(chunk.usage is None and chunk.choices for chunk in unasked)


def test_anthropic_text_is_exact_whole_and_streamed(simulator: Simulator, model: str) -> None:
    simulator.script(model, {"text": "one  two\nthree"}, repeat_last=True)
    whole = simulator.anthropic.messages.create(
        model=model, max_tokens=9, system="s", messages=ASKED
    )
    assert [block.type == "text" and block.text for block in whole.content] == ["one  two\nthree"]
    assert (whole.usage.input_tokens, whole.usage.output_tokens) == (4, 3)
    with simulator.anthropic.messages.stream(model=model, max_tokens=9, messages=ASKED) as stream:
        assert list(stream.text_stream) == ["one  ", "two\n", "three"]
        final = stream.get_final_message()
    assert final.stop_reason == "end_turn"
    assert (final.usage.input_tokens, final.usage.output_tokens) == (3, 3)


def test_tool_calls_reach_both_sdks(simulator: Simulator, model: str) -> None:
    call = {"name": "f", "arguments": {"x": [1, "é"]}}
    simulator.script(model, {"text": "Let me see.", "toolCalls": [call]}, repeat_last=True)
    gpt, claude = simulator.openai.chat.completions, simulator.anthropic.messages
    with gpt.stream(model=model, messages=ASKED) as chunks:
        completions: list[Any] = [chunks.get_final_completion()]
    for completion in [*completions, gpt.create(model=model, messages=ASKED)]:
        assert completion.choices[0].finish_reason == "tool_calls"
        function = completion.choices[0].message.tool_calls[0].function
        assert (function.name, json.loads(function.arguments)) == ("f", {"x": [1, "é"]})
    with claude.stream(model=model, max_tokens=9, messages=ASKED) as events:
        messages: list[Any] = [events.get_final_message()]
    for said in [*messages, claude.create(model=model, max_tokens=9, messages=ASKED)]:
        assert (said.stop_reason, said.content[0].text) == ("tool_use", "Let me see.")
        assert (said.content[1].name, said.content[1].input) == ("f", {"x": [1, "é"]})


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_strands_text_turn_is_one_request(
    simulator: Simulator, provider: str, model: str
) -> None:
    result = turn(simulator, provider, model, "Good to see you", system_prompt="be brief")
    assert '"Good to see you"' in str(result)
    [request] = simulator.seen(model)
    assert (request["provider"], request["model"]) == (provider, model)
    assert result.metrics.accumulated_usage["inputTokens"] == 6


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("fails", [False, True])
def test_a_strands_tool_turn_states_the_outcome(
    simulator: Simulator, provider: str, model: str, fails: bool
) -> None:
    asked = []

    @tool
    def calculator(expression: str) -> dict[str, int]:
        """Evaluates arithmetic."""
        asked.append(expression)
        if fails:
            raise RuntimeError("out of paper")
        return {"result": 120}

    result = turn(simulator, provider, model, "What is 12 * (7 + 3)?", tools=[calculator])
    assert asked == ["12 * (7 + 3)"]
    assert ("out of paper" if fails else "120") in str(result)
    assert len(simulator.seen(model)) == 2


@pytest.mark.parametrize("provider", PROVIDERS)
def test_strands_plans_by_structured_output(
    simulator: Simulator, provider: str, model: str
) -> None:
    prompt = f"<task>What is 12 * (7 + 3)?</task>\n<tools>{json.dumps([CALCULATOR])}</tools>"
    result = turn(simulator, provider, model, prompt, output=TaskPlan)
    assert isinstance(result.structured_output, TaskPlan)
    call, response = result.structured_output.steps
    assert (call.tool, call.parameters) == ("calculator", {"expression": "12 * (7 + 3)"})
    assert (call.type, response.type) == ("tool_call", "response")
    assert len(simulator.seen(model)) == 1


@pytest.mark.parametrize("provider", PROVIDERS)
def test_any_other_output_model_is_filled(simulator: Simulator, provider: str, model: str) -> None:
    result = turn(simulator, provider, model, "Rate this", output=Rating)
    assert result.structured_output == Rating(verdict="good", stars=1, reasons=["text"])


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_output_model_that_refuses_every_guess_is_given_up(
    simulator: Simulator, provider: str, model: str
) -> None:
    with pytest.raises(StructuredOutputException):
        turn(simulator, provider, model, "Where?", output=Postcode)
    assert len(simulator.seen(model)) < 10


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_missing_key_or_a_broken_body_is_refused(
    simulator: Simulator, provider: str, model: str
) -> None:
    no_key = simulator.http.post(PATHS[provider], json={"model": model})
    assert (no_key.status_code, no_key.json()["error"]["type"]) == (401, "authentication_error")
    for content in ("{broken", "[]", f'{{"model": "{model}"}}'):
        broken = simulator.http.post(PATHS[provider], content=content, headers=KEYS[provider])
        assert broken.status_code == 400
        assert broken.json()["error"]["type"] == "invalid_request_error"
        assert broken.json().get("type") == ("error" if provider == "anthropic" else None)
