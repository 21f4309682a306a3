import json
from typing import Any

import pytest
from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st

from infra.tests.simulator_client import PROVIDERS, Simulator
from services.tasks.tests.conversations import (
    Conversations,
    asked,
    carry_out,
    contents,
    system_prompts,
)
from tests.service import Service
from tests.strategies import emptied

REFUSED = {"status": 400}
outcomes = st.sampled_from(["answered", "answered", "answered", "refused"])
turns = st.lists(st.tuples(contents, outcomes), min_size=1, max_size=3)


@pytest.fixture
def talk(tasks: Service, simulator: Simulator) -> Conversations:
    return Conversations(tasks)


def rows_of(talk: Conversations, message: dict[str, Any]) -> list[dict[str, Any]]:
    """What is stored of the message's session, in order."""
    key = f"SESSION#{message['id'].split('-')[0]}"
    found = [row for row in talk.tasks.rows() if row["PK"] == key]
    return sorted(found, key=lambda row: str(row["SK"]))


@given(
    provider=st.sampled_from(PROVIDERS),
    content=contents,
    busy=st.booleans(),
    again=st.booleans(),
)
def test_property_5_llm_provider_invocation(
    talk: Conversations,
    simulator: Simulator,
    provider: str,
    content: str,
    busy: bool,
    again: bool,
) -> None:
    """Feature: realtime-agentic-api, Property 5: LLM provider invocation"""
    with emptied(talk.tasks):
        agent_id = talk.agent(llmProvider=provider)
        model = talk.model_of(agent_id)
        simulator.script(model, *[{"status": 429}] * busy)
        message = talk.say(agent_id, content)
        talk.deliver(again)
    requests = simulator.seen(model)
    assert message["status"] == "completed"
    assert len(requests) == 1 + busy, "one completion, however often the provider was busy"
    assert {request["provider"] for request in requests} == {provider}
    assert asked(simulator, model)[-1] == [{"role": "user", "text": content}]


@given(provider=st.sampled_from(PROVIDERS), said=turns)
def test_property_6_conversation_persistence(
    talk: Conversations, simulator: Simulator, provider: str, said: list[tuple[str, str]]
) -> None:
    """Feature: realtime-agentic-api, Property 6: Conversation persistence"""
    expected: list[tuple[str, str]] = []
    with emptied(talk.tasks):
        agent_id = talk.agent(llmProvider=provider)
        for content, outcome in said:
            if outcome == "refused":
                simulator.script(talk.model_of(agent_id), REFUSED)
            message = talk.say(agent_id, content, "s")
            expected.append(("user", content))
            if outcome == "answered":
                assert message["answer"]
                expected.append(("assistant", message["answer"]))
            history = talk.context(agent_id, "s")["conversationHistory"]
            assert [(line["role"], line["content"]) for line in history] == expected
            listed = talk.get(f"/agents/{agent_id}/messages?sessionId=s")["items"]
            assert listed[0] == message
    note(f"answers: {len(expected) - len(said)}")


@given(before=st.lists(contents, min_size=1, max_size=2), content=contents, stored=contents)
def test_property_7_context_retrieval(
    talk: Conversations, simulator: Simulator, before: list[str], content: str, stored: str
) -> None:
    """Feature: realtime-agentic-api, Property 7: Context retrieval"""
    with emptied(talk.tasks):
        agent_id = talk.agent()
        said = [talk.say(agent_id, each, "s") for each in before]
        for row in rows_of(talk, said[0])[1::2]:  # answers that nobody knows but the table
            answer = json.loads(str(row["answer"])) | {"content": stored}
            talk.tasks.table.put_item(Item=row | {"answer": json.dumps(answer)})
        talk.say(agent_id, content, "s")
    told = asked(simulator, talk.model_of(agent_id))[-1]
    assert told[-1] == {"role": "user", "text": content}
    assert [line["text"] for line in told[:-1:2]] == before
    assert [line["text"] for line in told[1::2]] == [stored] * len(before)


@given(said=turns, description=contents, policy=st.sampled_from(["session", "persistent"]))
def test_property_24_comprehensive_context_persistence(
    talk: Conversations,
    simulator: Simulator,
    said: list[tuple[str, str]],
    description: str,
    policy: str,
) -> None:
    """Feature: realtime-agentic-api, Property 24: Comprehensive context persistence"""
    memory = {
        "maxContextLength": 100_000,
        "summarizationThreshold": 0.5,
        "retentionPolicy": policy,
    }
    with emptied(talk.tasks):
        agent_id = talk.agent(memoryConfig=memory)
        task = carry_out(talk, simulator, agent_id, description, "It is done.")
        messages = []
        for content, outcome in said:
            if outcome == "refused":
                simulator.script(talk.model_of(agent_id), REFUSED)
            messages.append(talk.say(agent_id, content, "s"))
        context = talk.context(agent_id, "s")
        beyond = talk.get(f"/agents/{agent_id}/context?consistent=true")
        rows = rows_of(talk, messages[0])
    assert [row["SK"].count("#") for row in rows] == [1, 2] * len(said), "words and what became"
    lines = context["conversationHistory"]
    assert [line["content"] for line in lines if line["role"] == "user"] == [c for c, _ in said]
    state = context["taskState"]
    assert [point["stepId"] for point in state["checkpoints"]] == [m["id"] for m in messages]
    assert [p["state"]["status"] for p in state["checkpoints"]] == [m["status"] for m in messages]
    assert beyond["taskState"]["variables"]["id"] == task["id"]
    assert [p["state"]["output"] for p in beyond["taskState"]["checkpoints"]] == ["It is done."]
    facts = context["agentMemory"]["facts"]
    assert facts == beyond["agentMemory"]["facts"]
    assert [fact["source"] for fact in facts] == [f"task:{task['id']}"] * (policy == "persistent")
    assert all("It is done." in fact["content"] for fact in facts)


@given(
    provider=st.sampled_from(PROVIDERS),
    length=st.integers(100, 400),
    threshold=st.sampled_from([0.5, 0.8, 1.0]),
    said=st.lists(st.integers(1, 700), min_size=3, max_size=5),
)
def test_property_25_context_summarization(
    talk: Conversations,
    simulator: Simulator,
    provider: str,
    length: int,
    threshold: float,
    said: list[int],
) -> None:
    """Feature: realtime-agentic-api, Property 25: Context summarization"""
    memory = {
        "maxContextLength": length,
        "summarizationThreshold": threshold,
        "retentionPolicy": "session",
    }
    summaries = 0
    with emptied(talk.tasks):
        agent_id = talk.agent(llmProvider=provider, memoryConfig=memory)
        model = talk.model_of(agent_id)
        for number, chars in enumerate(said):
            simulator.script(model, {"text": f"told {number}"}, repeat_last=True)
            seen = len(simulator.seen(model))
            words = chr(ord("a") + number) * chars
            known = f"<summary>told {number}</summary>"
            before = asked(simulator, model)[-1:]
            assert talk.say(agent_id, words, "s")["status"] == "completed"
            *condensing, answering = asked(simulator, model)[seen:]
            prompts = system_prompts(simulator, model)[seen:]
            read = sum(estimated(line["text"]) for line in answering) + estimated(prompts[-1])
            if condensing:
                summaries += len(condensing)
                assert all("<conversation>" in request[0]["text"] for request in condensing)
                assert known in prompts[-1], "the summary stands for what was left out"
                kept = sum(estimated(line["text"]) for line in answering[:-1])
                assert kept <= int(length * threshold) // 2
            else:
                assert read <= int(length * threshold) or len(answering) == 1
                assert len(answering) == 1 or answering[:-2] == before[0]
    assert {request["provider"] for request in simulator.seen(model)} <= {provider}
    note(f"summaries: {summaries > 0}")
    if sum(map(estimated, ["x" * chars for chars in said])) > length:
        assert summaries


def estimated(text: str) -> int:
    return -(-len(text) // 4)


@given(provider=st.sampled_from(PROVIDERS), said=turns)
def test_property_64_conversation_history_append(
    talk: Conversations, simulator: Simulator, provider: str, said: list[tuple[str, str]]
) -> None:
    """Feature: realtime-agentic-api, Property 64: Conversation history append"""
    with emptied(talk.tasks):
        agent_id = talk.agent(llmProvider=provider)
        before: list[dict[str, Any]] = []
        for content, outcome in said:
            if outcome == "refused":
                simulator.script(talk.model_of(agent_id), REFUSED)
            message = talk.say(agent_id, content, "s")
            rows = rows_of(talk, message)
            assert rows[: len(before)] == before, "what was stored before is as it was"
            asking, answer = rows[len(before) :]
            assert asking["content"] == content
            told = json.loads(str(answer["answer"]))
            assert (told["status"], told["content"]) == (message["status"], message["answer"])
            before = rows
    assert len(before) == 2 * len(said)
