"""What a client can say on its socket, and what it hears."""

import json

import pytest
from common.errors import Unauthenticated
from common.principals import Permission

from services.status.tests.conftest import Status, progress
from tests.service import user

NONSENSE = (
    "",
    "hello",
    "[]",
    "null",
    "5",
    '"ping"',
    "{}",
    '{"action": null}',
    '{"action": "dance"}',
    '{"action": ["ping"]}',
    '{"action": "ping", "action": "ping"}',
    '{"action": "ping", "more": 1}',
    '{"action": "ping", "n": NaN}',
    '{"action": "ping", "n": 1' + "0" * 5000 + "}",
    '{"action": "ping", "text": "\\ud800"}',
    "[" * 2000,
    '{"action": "subscribe"}',
    '{"action": "subscribe", "agentId": 5}',
    '{"action": "subscribe", "agentId": ""}',
    '{"action": "subscribe", "agentId": "a#b"}',
    '{"action": "subscribe", "agentId": "a", "after": -1}',
    '{"action": "subscribe", "agentId": "a", "after": 1.0}',
    '{"action": "subscribe", "agentId": "a", "after": "1"}',
    '{"action": "subscribe", "agentId": "a", "after": true}',
    '{"action": "subscribe", "agentId": "a", "after": 1000000000000}',
    '{"action": "subscribe", "agentId": "a", "userId": "eve"}',
    '{"action": "unsubscribe"}',
    '{"action": "unsubscribe", "agentId": "a", "after": 1}',
)


def test_subscribing_is_answered_with_the_latest_seq_and_status(status: Status) -> None:
    agent_id = status.agent()
    answers = status.subscribe(status.connect(), agent_id)
    assert answers == [{"type": "subscribed", "agentId": agent_id, "seq": 1, "status": "idle"}]


def test_a_client_that_comes_back_misses_nothing(status: Status) -> None:
    agent_id = status.agent()
    status.service.consume(*(progress(agent_id, step) for step in range(1, 9)))
    first, *missed = status.subscribe(status.connect(), agent_id, after=4)
    assert first["seq"] == 9
    assert [(frame["type"], frame["seq"]) for frame in missed] == [
        ("update", seq) for seq in range(5, 10)
    ]


def test_what_has_expired_is_named_as_a_gap(status: Status) -> None:
    agent_id = status.agent()
    status.service.consume(*(progress(agent_id, step) for step in range(1, 5)))
    for row in status.rows("UPDATE#"):
        if row["seq"] <= 3:
            status.service.table.put_item(Item=row | {"TTL": 1})
    answers = status.subscribe(status.connect(), agent_id, after=1)[1:]
    assert answers[0] == {"type": "gap", "agentId": agent_id, "from": 2, "to": 3}
    assert [frame["seq"] for frame in answers[1:]] == [4, 5]


def test_when_everything_has_expired_the_gap_reaches_to_the_latest(status: Status) -> None:
    agent_id = status.agent()
    status.service.consume(progress(agent_id))
    for row in status.rows("UPDATE#"):
        status.service.table.delete_item(Key={"PK": row["PK"], "SK": row["SK"]})
    answers = status.subscribe(status.connect(), agent_id, after=0)[1:]
    assert answers == [{"type": "gap", "agentId": agent_id, "from": 1, "to": 2}]


def test_a_replay_is_bounded_and_says_what_it_left_out(status: Status, monkeypatch) -> None:
    monkeypatch.setattr(status.service.module.use_cases, "MAX_REPLAYED", 3)
    agent_id = status.agent()
    status.service.consume(*(progress(agent_id, step) for step in range(1, 9)))
    answers = status.subscribe(status.connect(), agent_id, after=2)[1:]
    assert (answers[0]["type"], answers[0]["from"], answers[0]["to"]) == ("gap", 3, 6)
    assert [frame["seq"] for frame in answers[1:]] == [7, 8, 9]


def test_a_client_ahead_of_us_is_told_nothing_more(status: Status) -> None:
    agent_id = status.agent()
    assert len(status.subscribe(status.connect(), agent_id, after=99)) == 1


def test_unsubscribed_means_no_more_pushes(status: Status) -> None:
    agent_id = status.agent()
    status.subscribe(status.connect(), agent_id)
    message = json.dumps({"action": "unsubscribe", "agentId": agent_id})
    assert status.say("c1", message) == [{"type": "unsubscribed", "agentId": agent_id}]
    status.service.consume(progress(agent_id))
    assert status.gateway.frames("c1") == []
    assert status.rows() == []


def test_disconnecting_removes_the_connection_and_its_subscriptions(status: Status) -> None:
    status.subscribe(status.connect(), status.agent())
    status.disconnect("c1")
    assert status.rows() == []
    assert not [row for row in status.service.rows() if row["PK"] == "CONNECTION#c1"]


def test_a_ping_is_answered(status: Status) -> None:
    assert status.say(status.connect(), '{"action": "ping"}') == [{"type": "pong"}]


def test_a_connection_needs_an_identity(status: Status) -> None:
    event = {"requestContext": {"routeKey": "$connect", "connectionId": "c1", "requestId": "r"}}
    with pytest.raises(Unauthenticated):
        status.service.call("socket", event)


def test_an_expired_connection_is_told_to_connect_again(status: Status) -> None:
    (answer,) = status.say("never-seen", '{"action": "ping"}')
    assert answer["error"]["code"] == "Unauthenticated"


def test_a_subprotocol_is_agreed_on_and_never_the_token(status: Status) -> None:
    def answer(offered: str) -> object:
        return status.opened("c1", user(), {"Sec-WebSocket-Protocol": offered})

    agreed = {"statusCode": 200, "headers": {"Sec-WebSocket-Protocol": "agentic.v1"}}
    assert answer("agentic.v1, bearer.e30.e30.e30") == agreed
    assert answer("bearer.e30.e30.e30,agentic.v1") == agreed
    assert answer("bearer.e30.e30.e30") == {"statusCode": 200}
    assert answer("graphql-transport-ws") == {"statusCode": 200}


def test_answers_to_a_gone_connection_remove_it(status: Status) -> None:
    status.subscribe(status.connect(), status.agent())
    status.gateway.gone.add("c1")
    status.say("c1", '{"action": "ping"}')
    assert status.rows() == []


def test_a_missing_agent_is_not_found(status: Status) -> None:
    (answer,) = status.subscribe(status.connect(), "missing")
    assert (answer["type"], answer["error"]["code"]) == ("error", "AgentNotFound")
    assert status.rows() == []


def test_somebody_elses_agent_is_forbidden(status: Status) -> None:
    agent_id = status.agent(owner="eve")
    (answer,) = status.subscribe(status.connect(), agent_id)
    assert answer["error"]["code"] == "Forbidden"
    assert status.rows() == []


def test_subscribing_needs_the_permission_to_read_agents(status: Status) -> None:
    may_write = user(permissions=(Permission("agents", ("write",)),))
    (answer,) = status.subscribe(status.connect(by=may_write), status.agent())
    assert answer["error"]["code"] == "Forbidden"


def test_what_makes_no_sense_is_answered_as_invalid(status: Status) -> None:
    status.connect()
    for body in NONSENSE:
        (answer,) = status.say("c1", body)
        assert (answer["type"], answer["error"]["code"]) == ("error", "Invalid"), body
        assert answer["error"]["requestId"] == "request-1"


def test_too_large_a_message_is_refused(status: Status) -> None:
    body = json.dumps({"action": "ping", "text": "x" * 33_000})
    (answer,) = status.say(status.connect(), body)
    assert answer["error"]["code"] == "TooLarge"


def test_errors_name_the_field_that_is_wrong(status: Status) -> None:
    (answer,) = status.say(status.connect(), '{"action": "subscribe", "agentId": "a", "after": -1}')
    assert [field["field"] for field in answer["error"]["details"]["fields"]] == ["after"]
