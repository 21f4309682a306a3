"""Scripted replies and failures of the model simulator, its latency, and what it counts."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import anthropic
import httpx
import openai
import pytest

from infra.tests.simulator_client import KEYS, PATHS, PROVIDERS, Simulator, question, running

ASKED: Any = [{"role": "user", "content": "a b c"}]
STEPS = [{"type": "response", "description": "scripted"}]


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with running() as simulator:
        yield simulator


@pytest.fixture
def model() -> str:
    return f"model-{uuid4().hex[:8]}"


def streamed(simulator: Simulator, model: str) -> Iterator[str]:
    for chunk in simulator.openai.chat.completions.create(model=model, messages=ASKED, stream=True):
        yield chunk.choices[0].delta.content or ""


def test_a_script_is_followed_in_order_and_then_the_brain(simulator: Simulator, model: str) -> None:
    simulator.script(model, {"text": "first"}, {"text": "second"})
    texts = [simulator.text("openai", model) for _ in range(3)]
    assert texts[:2] == ["first", "second"]
    assert "hi there" in texts[2]
    simulator.script(model, {"text": "a"}, {"text": "b"}, repeat_last=True)
    assert [simulator.text("anthropic", model) for _ in range(3)] == ["a", "b", "b"]
    assert "hi there" in simulator.text("openai", f"{model}-other")
    assert simulator.http.delete(f"/_control/scripts/{model}").status_code == 204
    assert "hi there" in simulator.text("openai", model)


@pytest.mark.parametrize("reply", [{"txt": "a"}, {"toolCalls": [{"nam": "f"}]}, {"status": 200}])
def test_an_unknown_script_field_is_refused(
    simulator: Simulator, model: str, reply: dict[str, Any]
) -> None:
    refused = simulator.http.put(f"/_control/scripts/{model}", json={"replies": [reply]})
    assert refused.status_code == 400
    assert "replies.0" in refused.json()["error"]


def test_a_scripted_plan_calls_task_plan(simulator: Simulator, model: str) -> None:
    simulator.script(model, {"plan": {"steps": STEPS}})
    [block] = simulator.ask("anthropic", model).json()["content"]
    assert (block["name"], block["input"]) == ("TaskPlan", {"steps": STEPS})


def test_scripted_failures_are_the_sdks_own_errors(simulator: Simulator, model: str) -> None:
    limited = {"status": 429, "headers": {"retry-after": "1"}, "message": "slow down"}
    simulator.script(model, limited, limited, {"status": 503}, {"status": 529})
    with pytest.raises(openai.RateLimitError, match="slow down") as by_openai:
        simulator.openai.chat.completions.create(model=model, messages=ASKED)
    with pytest.raises(anthropic.RateLimitError, match="slow down") as by_anthropic:
        simulator.anthropic.messages.create(model=model, max_tokens=9, messages=ASKED)
    for response in (by_openai.value.response, by_anthropic.value.response):
        assert response.headers["retry-after"] == "1"
    with pytest.raises(openai.InternalServerError):
        simulator.openai.chat.completions.create(model=model, messages=ASKED)
    with pytest.raises(anthropic.APIStatusError, match="overloaded_error"):
        simulator.anthropic.messages.create(model=model, max_tokens=9, messages=ASKED)


def test_tool_arguments_may_be_malformed(simulator: Simulator, model: str) -> None:
    call = {"name": "f", "rawArguments": '{"x": oops'}
    simulator.script(model, {"toolCalls": [call]}, repeat_last=True)
    completion: Any = simulator.openai.chat.completions.create(model=model, messages=ASKED)
    assert completion.choices[0].message.tool_calls[0].function.arguments == '{"x": oops'
    with (
        simulator.anthropic.messages.stream(model=model, max_tokens=9, messages=ASKED) as events,
        pytest.raises(ValueError, match="oops"),
    ):
        events.get_final_message()


def test_a_cut_stream_ends_half_way(simulator: Simulator, model: str) -> None:
    simulator.script(model, {"text": "one two three four", "cut": True}, repeat_last=True)
    heard: list[str] = []
    with pytest.raises(httpx.RemoteProtocolError):
        heard.extend(streamed(simulator, model))
    for provider in PROVIDERS:
        with pytest.raises(httpx.RemoteProtocolError):
            simulator.ask(provider, model)
    with (
        simulator.anthropic.messages.stream(model=model, max_tokens=9, messages=ASKED) as stream,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        heard.extend(stream.text_stream)
    assert "".join(heard) == "one two one two "


def test_an_error_may_arrive_within_a_stream(simulator: Simulator, model: str) -> None:
    reply = {"text": "one two three four", "midStreamError": "overloaded_error"}
    simulator.script(model, reply, repeat_last=True)
    heard: list[str] = []
    with pytest.raises(openai.APIError, match="overloaded_error"):
        heard.extend(streamed(simulator, model))
    assert "".join(heard) == "one two "
    with (
        simulator.anthropic.messages.stream(model=model, max_tokens=9, messages=ASKED) as stream,
        pytest.raises(anthropic.APIStatusError) as broken,
    ):
        stream.get_final_message()
    assert (broken.value.status_code, broken.value.type) == (200, "overloaded_error")
    assert simulator.ask("anthropic", model).status_code == 529


def test_a_hanging_model_is_left_by_its_client(simulator: Simulator, model: str) -> None:
    simulator.script(model, {"hang": True})
    with pytest.raises(httpx.ReadTimeout):
        simulator.http.post(
            PATHS["openai"], json=question(model), headers=KEYS["openai"], timeout=0.3
        )
    assert "hi there" in simulator.text("openai", model)
    assert 200 < simulator.seen(model)[0]["durationMs"] < 5000


def test_latency_and_delay_come_before_the_first_byte(simulator: Simulator, model: str) -> None:
    simulator.set_latency(100, model)
    simulator.script(model, {"text": "slow", "delayMs": 150}, {"delayMs": 150})
    began = time.perf_counter()
    assert simulator.text("openai", model) == "slow"
    assert 0.25 <= time.perf_counter() - began < 2
    assert "hi there" in simulator.text("anthropic", model)
    stats = simulator.stats(model)
    assert stats["requests"] == 2
    assert 500 <= stats["busyMs"] < 4000


def test_requests_are_kept_as_they_came(simulator: Simulator, model: str) -> None:
    headers = {**KEYS["openai"], "X-Trace": "abc"}
    began = time.time()
    simulator.http.post(PATHS["openai"], json=question(model), headers=headers)
    simulator.ask("anthropic", model)
    first, second = simulator.seen(model)
    assert (first["path"], first["body"]) == (PATHS["openai"], question(model))
    assert (first["headers"]["x-trace"], first["provider"]) == ("abc", "openai")
    assert began <= first["receivedAt"] <= time.time()
    assert first["durationMs"] > 0
    assert simulator.seen(model, after=first["index"]) == [second]
    assert simulator.http.delete("/_control/requests").status_code == 204
    assert simulator.stats(model) == {"requests": 0, "busyMs": 0}
    assert simulator.seen(model) == []


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_hundred_streams_run_side_by_side(
    simulator: Simulator, provider: str, model: str
) -> None:
    simulator.set_latency(500, model)
    simulator.script(model, {"text": "word " * 30}, repeat_last=True)

    async def all_at_once() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=simulator.url, timeout=30) as client:
            body = question(model, stream=True)
            asked = [
                client.post(PATHS[provider], json=body, headers=KEYS[provider]) for _ in range(100)
            ]
            return await asyncio.gather(*asked)

    began = time.perf_counter()
    responses = asyncio.run(all_at_once())
    assert time.perf_counter() - began < 5
    assert {response.status_code for response in responses} == {200}
    assert all(response.text.count("word ") == 30 for response in responses)
    assert simulator.stats(model)["requests"] == 100
