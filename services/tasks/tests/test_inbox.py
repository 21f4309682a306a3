"""Messages between agents: who may send them, where they arrive, and who sees them."""

from typing import Any

import pytest
from common.events.collaborations import AgentMessageSentV1
from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st

from tests import agents
from tests.service import Answer, Service, user
from tests.strategies import emptied, words

ADA, GRACE = user("ada"), user("grace")


@pytest.fixture
def peers(tasks: Service) -> Service:
    """Ada has two agents, Grace has one."""
    introduce(tasks)
    return tasks


def introduce(tasks: Service) -> None:
    for name, owner in (("a1", "ada"), ("a2", "ada"), ("g1", "grace")):
        tasks.consume(agents.created(name, owner=owner))


def send(tasks: Service, sender: str, target: str, content: str, **options: Any) -> Answer:
    path, body = f"/agents/{sender}/inbox", {"toAgentId": target, "content": content}
    return tasks.request("POST", path, body, **{"by": ADA} | options)


def sent(tasks: Service) -> list[AgentMessageSentV1]:
    found = [e["detail"] for e in tasks.outbox() if e["detail-type"] == "AgentMessageSent"]
    told = [AgentMessageSentV1.model_validate(detail) for detail in found]
    return sorted(told, key=lambda event: event.timestamp)


def inbox(tasks: Service, agent_id: str = "a2") -> list[dict[str, Any]]:
    return list(tasks.request("GET", f"/agents/{agent_id}/inbox", by=ADA).body["items"])


def begun_task(tasks: Service, agent_id: str = "a2") -> str:
    answer = tasks.request("POST", f"/agents/{agent_id}/tasks", {"description": "Go"}, by=ADA)
    for _ in range(2):
        tasks.call("initialize_task", {"taskId": answer.body["id"]})
    return str(answer.body["id"])


def told(tasks: Service, task_id: str) -> str | None:
    """What is in the task's prompts."""
    value: str | None = tasks.module.store().tasks.get(task_id).messages  # type: ignore[attr-defined]
    return value


@given(content=words, again=st.booleans())
def test_property_29_inter_agent_messaging(
    running_tasks: Service, content: str, again: bool
) -> None:
    """Feature: realtime-agentic-api, Property 29: Inter-agent messaging"""
    with emptied(running_tasks) as tasks:
        introduce(tasks)
        key = {"Idempotency-Key": "once"}
        answers = [send(tasks, "a1", "a2", content, headers=key) for _ in range(1 + again)]
        (event,) = sent(tasks)
        assert {answer.status for answer in answers} == {201}
        assert {answer.body["id"] for answer in answers} == {event.message_id}
        assert (event.source, event.detail_type()) == (
            "realtime-agentic-api.tasks",
            "AgentMessageSent",
        )
        assert (event.agent_id, event.to_agent_id, event.content) == ("a1", "a2", content)
        assert event.user_id == "ada"
        note(f"sent {len(answers)} times")


def test_a_message_arrives_once_and_is_read_by_the_next_task(peers: Service) -> None:
    send(peers, "a1", "a2", "The sky is blue")
    (event,) = sent(peers)
    assert inbox(peers) == []
    assert peers.consume(event, event) == []
    (message,) = inbox(peers)
    assert (message["fromAgentId"], message["content"]) == ("a1", "The sky is blue")
    assert message["readBy"] is None
    first, second = begun_task(peers), begun_task(peers)
    assert told(peers, first) == "From agent a1: The sky is blue"
    assert told(peers, second) is None
    (message,) = inbox(peers)
    assert message["readBy"] == first


def test_a_message_for_a_task_is_for_no_other(peers: Service) -> None:
    about: dict[str, Any] = {"user_id": "ada", "aggregate_id": "m", "aggregate_version": 1}
    event = AgentMessageSentV1(
        message_id="m",
        agent_id="a1",
        to_agent_id="a2",
        content="Only for you",
        task_id="another-task",
        **about,
    )
    assert peers.consume(event) == []
    assert told(peers, begun_task(peers)) is None
    assert len(inbox(peers)) == 1


def test_a_task_takes_as_many_messages_as_fit(peers: Service) -> None:
    for number in range(3):
        send(peers, "a1", "a2", f"{number}" * 9_000)
    assert peers.consume(*sent(peers)) == []
    texts = [told(peers, begun_task(peers)) or "" for _ in range(3)]
    assert [text.count("From agent") for text in texts] == [2, 1, 0]


@pytest.mark.parametrize(
    ("sender", "target", "status"),
    [("a1", "g1", 403), ("g1", "a1", 403), ("a1", "a1", 400), ("a1", "missing", 404)],
)
def test_agents_write_to_others_of_their_owner(
    peers: Service, sender: str, target: str, status: int
) -> None:
    assert send(peers, sender, target, "Hello").status == status
    assert sent(peers) == []


def test_an_event_between_owners_is_not_kept(peers: Service) -> None:
    about: dict[str, Any] = {"user_id": "grace", "aggregate_id": "m", "aggregate_version": 1}
    event = AgentMessageSentV1(
        message_id="m", agent_id="g1", to_agent_id="a2", content="Hello", **about
    )
    assert peers.consume(event) == []
    assert inbox(peers) == []


def test_an_inbox_is_its_owners(peers: Service) -> None:
    assert peers.request("GET", "/agents/a2/inbox", by=GRACE).status == 403
