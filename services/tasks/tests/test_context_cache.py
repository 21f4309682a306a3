"""Contexts and the cache, with a real Redis: shown from it, and never answered from it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from common.clock import new_id
from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st

from infra.tests.simulator_client import Simulator
from services.tasks.tests.conversations import ADA, Conversations, asked, contents
from tests import agents
from tests.service import Service, running, user
from tests.strategies import emptied, without_table


@pytest.fixture(scope="module")
def running_tasks(redis_url: str) -> Iterator[Service]:
    patient = f"{redis_url}?socket_timeout=10&socket_connect_timeout=10"
    with running("tasks", REDIS_URL=patient) as service:
        yield service


@pytest.fixture
def talk(tasks: Service, simulator: Simulator) -> Conversations:
    return Conversations(tasks)


def test_the_same_question_is_asked_once_if_the_owner_wants_it(
    talk: Conversations, simulator: Simulator
) -> None:
    agent_id = talk.agent(cacheResponses=True)
    first, second = (talk.say(agent_id, "What is 2 + 3?") for _ in range(2))
    assert first["answer"] == second["answer"]
    assert len(simulator.seen(talk.model_of(agent_id))) == 1
    used = talk.get("/usage")["tokensPerDay"]["used"]
    talk.say(agent_id, "What is 2 + 3?")
    assert talk.get("/usage")["tokensPerDay"]["used"] == used
    talk.say(agent_id, "What is 2 + 4?")
    assert len(simulator.seen(talk.model_of(agent_id))) == 2


def test_answers_are_not_shared_by_owners_or_models(
    talk: Conversations, simulator: Simulator
) -> None:
    model = f"model-{new_id()}"
    for differing in ({}, {"temperature": 0.5}, {"systemPrompt": "Be brief."}, {"maxTokens": 50}):
        talk.say(talk.agent(cacheResponses=True, model=model, **differing), "Hello")
    assert len(simulator.seen(model)) == 4
    eves = new_id()
    shared = {"model": model, "cacheResponses": True}
    assert talk.tasks.consume(agents.created(eves, "eve", **shared)) == []
    assert talk.post(eves, "Hello", by=user("eve")).status == 202
    talk.deliver()
    assert len(simulator.seen(model)) == 5


def test_a_failure_is_not_kept(talk: Conversations, simulator: Simulator) -> None:
    agent_id = talk.agent(cacheResponses=True)
    simulator.script(talk.model_of(agent_id), {"status": 400})
    assert talk.say(agent_id, "Hello")["status"] == "failed"
    assert talk.say(agent_id, "Hello")["status"] == "completed"


@given(before=contents, content=contents, stored=contents)
def test_property_23_context_retrieval_before_processing(
    talk: Conversations, simulator: Simulator, before: str, content: str, stored: str
) -> None:
    """Feature: realtime-agentic-api, Property 23: Context retrieval before processing"""
    with emptied(talk.tasks):
        agent_id = talk.agent()
        message = talk.say(agent_id, before, "s")
        talk.context(agent_id, "s", consistent=False)  # so that the cache knows it, too
        key = {"PK": f"SESSION#{message['id'].split('-')[0]}", "SK": "MESSAGE#00000001#ANSWER"}
        row = talk.tasks.table.get_item(Key=key)["Item"]
        answer = json.loads(str(row["answer"])) | {"content": stored}
        talk.tasks.table.put_item(Item=row | {"answer": json.dumps(answer)})
        cached = talk.context(agent_id, "s", consistent=False)["conversationHistory"]
        assert cached[1]["content"] == message["answer"], "the cache does not know of it"
        talk.say(agent_id, content, "s")
    told = asked(simulator, talk.model_of(agent_id))[-1]
    assert [line["text"] for line in told] == [before, stored, content]


@given(said=st.lists(contents, min_size=1, max_size=2), reads=st.integers(1, 3))
def test_property_26_cache_first_retrieval(
    talk: Conversations, said: list[str], reads: int
) -> None:
    """Feature: realtime-agentic-api, Property 26: Cache-first retrieval"""
    with emptied(talk.tasks):
        agent_id = talk.agent()
        for content in said:
            talk.say(agent_id, content, "s")
        latest = talk.context(agent_id, "s", consistent=False)
        remember_nothing(talk, agent_id)
        latest = talk.context(agent_id, "s", consistent=False)
        with without_table(talk.tasks):
            for _ in range(reads):  # whatever is answered now is from the cache
                assert talk.context(agent_id, "s", consistent=False) == latest
            path = f"/agents/{agent_id}/context?sessionId=s&consistent=true"
            assert talk.tasks.request("GET", path, by=ADA).status == 500
    assert len(latest["conversationHistory"]) == 2 * len(said)


def remember_nothing(talk: Conversations, agent_id: str) -> None:
    """Nothing is cached of what is not there, so let there be a memory."""
    row = {"PK": f"AGENT#{agent_id}", "SK": "MEMORY", "longTerm": "{}", "facts": "[]", "version": 1}
    talk.tasks.table.put_item(Item=row)


steps = st.sampled_from(["send", "answer", "read", "delete"])


@given(
    steps=st.lists(steps, min_size=2, max_size=6), said=st.lists(contents, min_size=6, max_size=6)
)
def test_property_27_cache_invalidation_on_update(
    talk: Conversations, steps: list[str], said: list[str]
) -> None:
    """Feature: realtime-agentic-api, Property 27: Cache invalidation on update"""
    memory = {"maxContextLength": 100, "summarizationThreshold": 1, "retentionPolicy": "persistent"}
    updates = 0
    with emptied(talk.tasks):
        agent_id = talk.agent(memoryConfig=memory)
        talk.say(agent_id, "Hello", "s")
        for step, content in zip(["read", *steps], said, strict=False):
            updates += step != "read"
            if step == "send":
                talk.send(agent_id, content, "s")
            elif step == "answer":
                talk.deliver()
            elif step == "delete":
                talk.tasks.request("DELETE", f"/agents/{agent_id}/sessions/s", by=ADA)
            shown, latest = (shown_to_client(talk, agent_id, is_) for is_ in ("false", "true"))
            assert shown == latest
    note(f"updates: {updates}")


def shown_to_client(talk: Conversations, agent_id: str, consistent: str) -> tuple[int, Any]:
    path = f"/agents/{agent_id}/context?sessionId=s&consistent={consistent}"
    answer = talk.tasks.request("GET", path, by=ADA)
    return answer.status, answer.body if answer.status == 200 else answer.body["error"]["code"]
