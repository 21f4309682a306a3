"""Conversations: what is said is answered once, in order, and remembered."""

import json
import os
import uuid
from typing import Any

import boto3
import pytest
from chalicelib.tasks.models.conversations import MAX_ANSWER, MAX_CONTENT, MAX_PENDING
from common.clock import new_id
from common.principals import Permission

from infra.tests.simulator_client import PROVIDERS, Simulator
from services.tasks.tests.conversations import (
    ADA,
    Conversations,
    asked,
    carry_out,
    system_prompts,
)
from tests import agents
from tests.platform import CALCULATOR
from tests.service import Service, user


@pytest.fixture
def talk(tasks: Service, simulator: Simulator) -> Conversations:
    return Conversations(tasks)


def test_what_is_said_is_taken_and_announced(talk: Conversations) -> None:
    agent_id = talk.agent()
    message = talk.send(agent_id, "Hello!")
    assert message["status"] == "pending"
    assert message["content"] == "Hello!"
    assert message["answer"] is message["error"] is message["answeredAt"] is None
    assert talk.read(message) == message
    (said,) = talk.events("UserInteraction")
    assert said["agentId"] == agent_id
    assert (said["messageId"], said["sessionId"]) == (message["id"], message["sessionId"])
    assert (said["content"], said["userId"]) == ("Hello!", "ada")


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_agent_answers_and_knows_what_was_said(
    talk: Conversations, simulator: Simulator, provider: str
) -> None:
    agent_id = talk.agent(llmProvider=provider, systemPrompt="Be brief.")
    first = talk.say(agent_id, "What is 2 + 3?")
    assert first["status"] == "completed"
    assert "5" in first["answer"]
    second = talk.say(agent_id, "Thank you", first["sessionId"])
    assert second["status"] == "completed"
    model = talk.model_of(agent_id)
    assert asked(simulator, model)[1] == [
        {"role": "user", "text": "What is 2 + 3?"},
        {"role": "assistant", "text": first["answer"]},
        {"role": "user", "text": "Thank you"},
    ]
    assert system_prompts(simulator, model) == ["Be brief."] * 2
    announced = talk.events("AgentResponded")
    assert [event["content"] for event in announced] == [first["answer"], second["answer"]]
    assert [event["messageId"] for event in announced] == [first["id"], second["id"]]


def test_another_session_knows_nothing_of_it(talk: Conversations, simulator: Simulator) -> None:
    agent_id = talk.agent()
    one, other = talk.say(agent_id, "My name is Ada"), talk.say(agent_id, "Who am I?")
    assert one["sessionId"] != other["sessionId"]
    assert asked(simulator, talk.model_of(agent_id))[1] == [{"role": "user", "text": "Who am I?"}]


def test_a_session_may_have_a_name_of_the_clients(talk: Conversations) -> None:
    agent_id = talk.agent()
    assert talk.say(agent_id, "Hello", "kitchen")["sessionId"] == "kitchen"
    (session,) = talk.get(f"/agents/{agent_id}/sessions")["items"]
    assert (session["id"], session["messages"], session["answered"]) == ("kitchen", 1, 1)


def test_the_agents_tools_are_called(talk: Conversations, simulator: Simulator) -> None:
    """The tool is not deployed here, so it fails; the model is told and answers all the same."""
    agent_id = talk.agent(tools=[CALCULATOR])
    message = talk.say(agent_id, "Use the calculator: what is 6 * 7?")
    assert message["status"] == "completed"
    assert len(asked(simulator, talk.model_of(agent_id))) == 2
    (checkpoint,) = talk.context(agent_id, message["sessionId"])["taskState"]["checkpoints"]
    assert checkpoint["stepId"] == message["id"]
    assert checkpoint["state"]["toolCalls"] == 1


def test_what_needs_an_approval_is_refused(talk: Conversations, simulator: Simulator) -> None:
    agent_id = talk.agent(tools=[CALCULATOR], approvalPolicy={"tools": ["calculator"]})
    assert talk.say(agent_id, "Use the calculator: 6 * 7")["status"] == "completed"
    told = json.dumps(simulator.seen(talk.model_of(agent_id))[1]["body"])
    assert "needs a person's approval" in told


def test_a_second_delivery_changes_nothing(talk: Conversations, simulator: Simulator) -> None:
    agent_id = talk.agent()
    message = talk.say(agent_id, "Hello")
    before = talk.tasks.rows()
    assert talk.deliver(again=True) == 1
    assert talk.read(message)["answer"] == message["answer"]
    assert len(talk.tasks.rows()) == len(before)
    assert len(simulator.seen(talk.model_of(agent_id))) == 1


def test_messages_are_answered_in_their_order_by_whoever_comes_first(
    talk: Conversations, simulator: Simulator
) -> None:
    agent_id, session = talk.agent(), new_id()
    sent = [talk.send(agent_id, f"number {n}", session) for n in range(3)]
    talk.announce()
    last = talk.queued()[-1]
    talk.converse(last)
    assert [talk.read(message)["status"] for message in sent] == ["completed"] * 3
    said = asked(simulator, talk.model_of(agent_id))
    assert [messages[-1]["text"] for messages in said] == ["number 0", "number 1", "number 2"]


def test_who_finds_somebody_at_work_leaves_it_to_them(
    talk: Conversations, simulator: Simulator
) -> None:
    agent_id = talk.agent()
    message = talk.send(agent_id, "Hello")
    talk.announce()
    (record,) = talk.queued()
    row = session_row(talk, message)
    talk.tasks.table.put_item(Item=row | {"claim": "other", "claimed_until": 2**40})
    talk.converse(record)
    assert talk.read(message)["status"] == "pending"
    talk.tasks.table.put_item(Item=row | {"claim": "other", "claimed_until": 1})
    talk.converse(record)
    assert talk.read(message)["status"] == "completed"


def session_row(talk: Conversations, message: dict[str, Any]) -> dict[str, Any]:
    key = {"PK": f"AGENT#{message['agentId']}", "SK": f"SESSION#{message['sessionId']}"}
    return dict(talk.tasks.table.get_item(Key=key, ConsistentRead=True)["Item"])


def test_an_answer_that_was_kept_is_not_asked_for_again(
    talk: Conversations, simulator: Simulator
) -> None:
    """The function dies after the model answered: when its turn is put back as it was before, the
    next one finds the model's answer in the journal."""
    agent_id = talk.agent()
    message = talk.send(agent_id, "Hello")
    before = session_row(talk, message)
    talk.announce()
    (record,) = talk.queued()
    talk.converse(record)
    answer = talk.read(message)["answer"]
    talk.tasks.table.put_item(Item=before)
    key = {"PK": f"SESSION#{before['key']}", "SK": "MESSAGE#00000001#ANSWER"}
    talk.tasks.table.delete_item(Key=key)
    assert talk.read(message)["status"] == "pending"
    talk.converse(record, attempt=2)
    assert talk.read(message)["answer"] == answer
    assert len(simulator.seen(talk.model_of(agent_id))) == 1


def test_the_model_s_failure_ends_the_message_and_not_the_conversation(
    talk: Conversations, simulator: Simulator
) -> None:
    agent_id = talk.agent()
    simulator.script(talk.model_of(agent_id), {"status": 400})
    failed = talk.say(agent_id, "Hello")
    assert failed["status"] == "failed"
    assert failed["answer"] is None
    assert failed["error"]["code"] == "LLM_REFUSED"
    (told,) = talk.events("ResponseFailed")
    assert (told["messageId"], told["errorCode"]) == (failed["id"], "LLM_REFUSED")
    assert len([e for e in talk.tasks.outbox() if e["detail-type"] == "ErrorOccurred"]) == 1
    again = talk.say(agent_id, "Still there?", failed["sessionId"])
    assert again["status"] == "completed"
    assert asked(simulator, talk.model_of(agent_id))[-1] == [
        {"role": "user", "text": "Still there?"}
    ]


def test_what_cannot_be_answered_is_given_up_in_the_end(talk: Conversations) -> None:
    """Nobody here has a key of the agent's provider."""
    agent_id = talk.agent(llmProvider="nobody")
    message = talk.send(agent_id, "Hello")
    talk.announce()
    (record,) = talk.queued()
    with pytest.raises(KeyError):
        talk.converse(record, attempt=4)
    assert talk.read(message)["status"] == "pending"
    talk.tasks.table.put_item(Item=session_row(talk, message) | {"claimed_until": 1})
    talk.converse(record, attempt=5)
    assert talk.read(message)["error"]["code"] == "EXECUTION_FAILED"
    queue = os.environ["DEAD_LETTERS_URL"]
    told = boto3.client("sqs").receive_message(QueueUrl=queue, MessageAttributeNames=["All"])
    (letter,) = told["Messages"]
    assert letter["MessageAttributes"]["reason"]["StringValue"] == "KeyError"


def test_a_task_builds_on_what_its_agent_remembers(
    talk: Conversations, simulator: Simulator
) -> None:
    memory = {"maxContextLength": 1000, "summarizationThreshold": 1}
    for policy, known in (("persistent", True), ("session", False)):
        agent_id = talk.agent(memoryConfig=memory | {"retentionPolicy": policy})
        for answer in ("The code is 4711.", "Done."):
            carry_out(talk, simulator, agent_id, "Find the code", answer)
        prompts = system_prompts(simulator, talk.model_of(agent_id))
        assert ["4711" in prompt for prompt in prompts] == [False, known]


def test_when_the_time_is_up_the_next_invocation_goes_on(talk: Conversations) -> None:
    agent_id = talk.agent()
    message = talk.send(agent_id, "Hello")
    talk.announce()
    (record,) = talk.queued()
    talk.tasks.seconds_left = 10
    try:
        talk.converse(record)
    finally:
        talk.tasks.seconds_left = 300
    assert talk.read(message)["status"] == "pending"
    assert talk.deliver() == 1
    assert talk.read(message)["status"] == "completed"


def test_a_long_answer_is_cut(talk: Conversations, simulator: Simulator) -> None:
    agent_id = talk.agent()
    simulator.script(talk.model_of(agent_id), {"text": "x" * (MAX_ANSWER + 1)})
    message = talk.say(agent_id, "Hello")
    assert message["answer"].startswith("x" * MAX_ANSWER + " … [cut")
    (told,) = talk.events("AgentResponded")
    assert told["contentTruncated"]
    assert len(told["content"]) < 30_000


def test_an_idempotency_key_says_it_once(talk: Conversations) -> None:
    agent_id = talk.agent()
    headers = {"idempotency-key": "a"}
    first, second = (talk.post(agent_id, "Hello", headers=headers) for _ in range(2))
    assert (first.status, second.status) == (202, 202)
    assert first.body == second.body
    assert len(talk.events("UserInteraction")) == 1
    assert talk.post(agent_id, "Bye", headers=headers).status == 422


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"content": ""},
        {"content": " \n"},
        {"content": "x" * (MAX_CONTENT + 1)},
        {"content": 1},
        {"content": "a", "sessionId": ""},
        {"content": "a", "sessionId": "a/b"},
        {"content": "a", "more": 1},
    ],
)
def test_what_is_not_valid_is_refused(talk: Conversations, body: dict[str, Any]) -> None:
    path = f"/agents/{talk.agent()}/messages"
    assert talk.tasks.request("POST", path, body, by=ADA).status == 400


def test_a_session_takes_so_many_messages_at_once(talk: Conversations) -> None:
    agent_id, session = talk.agent(), new_id()
    for _ in range(MAX_PENDING):
        talk.send(agent_id, "Hello", session)
    refused = talk.post(agent_id, "Hello", session)
    assert (refused.status, refused.headers["Retry-After"]) == (429, "5")
    talk.deliver()
    assert talk.post(agent_id, "Hello", session).status == 202


def test_messages_are_listed_newest_first_page_by_page(talk: Conversations) -> None:
    agent_id, session = talk.agent(), new_id()
    said = [talk.say(agent_id, f"number {n}", session) for n in range(5)]
    path = f"/agents/{agent_id}/messages?sessionId={session}&limit=2"
    found, token = [], ""
    while token is not None:
        page = talk.get(path + (f"&nextToken={token}" if token else ""))
        assert len(page["items"]) <= 2
        found += page["items"]
        token = page["nextToken"]
    assert found == said[::-1]
    other = talk.say(agent_id, "Something else")
    assert talk.get(f"/agents/{agent_id}/messages")["items"] == [other]
    assert talk.get(f"/agents/{talk.agent()}/messages")["items"] == []


def test_the_context_is_what_was_said(talk: Conversations) -> None:
    agent_id = talk.agent()
    message = talk.say(agent_id, "Hello")
    context = talk.context(agent_id, message["sessionId"])
    said = [(line["role"], line["content"]) for line in context["conversationHistory"]]
    assert said == [("user", "Hello"), ("assistant", message["answer"])]
    assert context["agentMemory"] == {"shortTerm": {}, "longTerm": {}, "facts": []}
    assert context["taskState"]["variables"] == {"messages": 1, "answered": 1}
    path = f"/agents/{agent_id}/context?sessionId=none"
    assert talk.tasks.request("GET", path, by=ADA).status == 404


def test_a_deleted_session_is_forgotten(talk: Conversations, simulator: Simulator) -> None:
    agent_id = talk.agent()
    message = talk.say(agent_id, "My name is Ada", "kitchen")
    path = f"/agents/{agent_id}/sessions/kitchen"
    assert talk.tasks.request("DELETE", path, by=ADA).status == 204
    assert talk.tasks.request("DELETE", path, by=ADA).status == 404
    for gone in (
        f"/agents/{agent_id}/messages/{message['id']}",
        f"/agents/{agent_id}/messages?sessionId=kitchen",
        f"/agents/{agent_id}/context?sessionId=kitchen",
    ):
        assert talk.tasks.request("GET", gone, by=ADA).status == 404
    assert talk.get(f"/agents/{agent_id}/sessions")["items"] == []
    talk.say(agent_id, "Who am I?", "kitchen")
    assert asked(simulator, talk.model_of(agent_id))[-1] == [{"role": "user", "text": "Who am I?"}]
    kept = [row for row in talk.tasks.rows() if not str(row["PK"]).startswith("OUTBOX#")]
    assert "My name is Ada" not in json.dumps(kept, default=str)


def test_an_answer_for_a_session_deleted_meanwhile_is_dropped(
    talk: Conversations, simulator: Simulator
) -> None:
    agent_id = talk.agent()
    message = talk.send(agent_id, "Hello", "kitchen")
    talk.announce()
    (record,) = talk.queued()
    path = f"/agents/{agent_id}/sessions/kitchen"
    assert talk.tasks.request("DELETE", path, by=ADA).status == 204
    talk.converse(record)
    assert simulator.seen(talk.model_of(agent_id)) == []
    assert (
        talk.tasks.request("GET", f"/agents/{agent_id}/messages/{message['id']}", by=ADA).status
        == 404
    )


def test_a_deleted_agent_is_not_talked_to_and_leaves_nothing(
    talk: Conversations, simulator: Simulator
) -> None:
    agent_id = talk.agent()
    talk.say(agent_id, "My name is Ada")
    talk.send(agent_id, "And yours?")
    assert talk.tasks.consume(agents.deleted(agent_id, 2)) == []
    talk.deliver()
    assert talk.post(agent_id, "Hello").status == 404
    assert talk.tasks.request("GET", f"/agents/{agent_id}/sessions", by=ADA).status == 404
    kept = [row for row in talk.tasks.rows() if not str(row["PK"]).startswith("OUTBOX#")]
    assert "My name is Ada" not in json.dumps(kept, default=str)


def test_conversations_are_their_owner_s(talk: Conversations) -> None:
    agent_id = talk.agent()
    message = talk.say(agent_id, "Hello", "kitchen")
    eve, base = user("eve"), f"/agents/{agent_id}"
    calls = [
        ("POST", f"{base}/messages", {"content": "Hello"}),
        ("GET", f"{base}/messages?sessionId=kitchen", None),
        ("GET", f"{base}/messages/{message['id']}", None),
        ("GET", f"{base}/sessions", None),
        ("DELETE", f"{base}/sessions/kitchen", None),
        ("GET", f"{base}/context?sessionId=kitchen", None),
        ("GET", f"{base}/context", None),
    ]
    reader = user("ada", (Permission("tasks", ("read",)),))
    for method, path, body in calls:
        assert talk.tasks.request(method, path, body, by=eve).status == 403
        if method != "GET":
            assert talk.tasks.request(method, path, body, by=reader).status == 403
    assert talk.tasks.request("GET", f"{base}/messages/{uuid.uuid4()}", by=ADA).status == 404
    other = talk.agent()
    path = f"/agents/{other}/messages/{message['id']}"
    assert talk.tasks.request("GET", path, by=ADA).status == 404
