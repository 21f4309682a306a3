"""Conversations on the deployed platform: from what a user says to the answer on their socket."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.platform import CALCULATOR, Api, Platform, eventually

pytestmark = pytest.mark.deployed

words = st.text("abcdefgh äé🤖", min_size=1, max_size=80).filter(str.strip)


@pytest.fixture(scope="module")
def api(platform: Platform) -> Iterator[Api]:
    with platform.api() as api:
        yield api


def say(api: Api, agent_id: str, content: str, session: str | None = None) -> dict[str, Any]:
    body = {"content": content} | ({"sessionId": session} if session else {})
    answer = api.post(f"/agents/{agent_id}/messages", json=body)
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


def ended(api: Api, message: dict[str, Any]) -> dict[str, Any]:
    path = f"/agents/{message['agentId']}/messages/{message['id']}"

    def now() -> dict[str, Any] | None:
        read = api.get(path).raise_for_status().json()
        return read if read["status"] != "pending" else None

    found = eventually(now, every=0.05)
    assert found, f"message {message['id']} was not answered"
    return found


def said(request: dict[str, Any]) -> list[tuple[str, str]]:
    lines = [line for line in request["body"]["messages"] if line["role"] != "system"]
    return [(line["role"], text_of(line["content"])) for line in lines]


def text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(block.get("text", "") for block in content)


@pytest.mark.e2e
def test_a_conversation_is_answered_live_and_remembered(platform: Platform, api: Api) -> None:
    model = f"talk-{uuid.uuid4()}"
    agent_id = api.agent(model=model)["id"]
    with platform.socket() as socket:
        socket.subscribe(agent_id)
        first = say(api, agent_id, "My name is Ada.")
        pushed = [answer_on(socket, first)]
        second = say(api, agent_id, "Who am I?", first["sessionId"])
        pushed.append(answer_on(socket, second))
    answers = [ended(api, message)["answer"] for message in (first, second)]
    assert pushed == answers
    requests = platform.model_requests(model)
    assert [said(request) for request in requests] == [
        [("user", "My name is Ada.")],
        [("user", "My name is Ada."), ("assistant", answers[0]), ("user", "Who am I?")],
    ]
    context = api.get(f"/agents/{agent_id}/context", params={"sessionId": first["sessionId"]})
    assert [line["content"] for line in context.json()["conversationHistory"]] == [
        "My name is Ada.",
        answers[0],
        "Who am I?",
        answers[1],
    ]


def answer_on(socket: Any, message: dict[str, Any]) -> str:
    """What is pushed for a message: that it was said, and the answer, which may overtake it."""
    told: dict[str, dict[str, Any]] = {}
    while not {"UserInteraction", "AgentResponded"} <= told.keys():
        update = socket.receive("update")
        if update["data"].get("messageId") == message["id"]:
            told[update["event"]] = update["data"]
    return str(told["AgentResponded"]["content"])


@pytest.mark.e2e
def test_an_agent_uses_its_tools_in_a_conversation(api: Api) -> None:
    agent_id = api.agent(CALCULATOR)["id"]
    message = ended(api, say(api, agent_id, "Use the calculator: what is 12 * (7 + 3)?"))
    assert "120" in message["answer"]


@pytest.mark.e2e
def test_what_the_model_refuses_is_told_on_the_socket(platform: Platform, api: Api) -> None:
    model = f"refusing-{uuid.uuid4()}"
    agent_id = api.agent(model=model)["id"]
    platform.script(model, {"status": 400})
    with platform.socket() as socket:
        socket.subscribe(agent_id)
        message = say(api, agent_id, "Hello")
        while (update := socket.receive("update"))["event"] != "ResponseFailed":
            pass
    assert update["data"]["messageId"] == message["id"]
    assert update["data"]["errorCode"] == "LLM_REFUSED"
    assert ended(api, say(api, agent_id, "Hello?", message["sessionId"]))["status"] == "completed"


@pytest.mark.e2e
def test_a_deleted_session_is_gone(api: Api) -> None:
    agent_id = api.agent()["id"]
    message = ended(api, say(api, agent_id, "Hello", "kitchen"))
    assert api.delete(f"/agents/{agent_id}/sessions/kitchen").status_code == 204
    assert api.get(f"/agents/{agent_id}/messages/{message['id']}").status_code == 404
    assert (
        api.get(f"/agents/{agent_id}/context", params={"sessionId": "kitchen"}).status_code == 404
    )


@pytest.fixture(scope="module")
def listener(api: Api) -> str:
    return str(api.agent(model=f"listening-{uuid.uuid4()}")["id"])


@given(contents=st.lists(words, min_size=1, max_size=2), same_session=st.booleans())
def test_property_40_user_interaction_routing(
    platform: Platform, api: Api, listener: str, contents: list[str], same_session: bool
) -> None:
    """Feature: realtime-agentic-api, Property 40: User interaction routing"""
    session = str(uuid.uuid4()) if same_session else None
    agent = api.get(f"/agents/{listener}").json()
    asked = len(platform.model_requests(agent["configuration"]["model"]))
    messages = [say(api, listener, content, session) for content in contents]
    for message in messages:
        assert ended(api, message)["status"] == "completed"
    requests = platform.model_requests(agent["configuration"]["model"])[asked:]
    heard = sorted(said(request)[-1][1] for request in requests)
    assert heard == sorted(contents), "each was brought to the agent once"
