"""What a client can say on its socket, and what it hears."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from common.errors import Unauthenticated
from common.principals import Permission
from common.quotas import Quota, Quotas
from hypothesis import given
from hypothesis import strategies as st

from services.status.tests.conftest import Status, progress
from tests.service import before_calls, user

PING = '{"action": "ping"}'
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
    gap, snapshot, *rest = status.subscribe(status.connect(), agent_id, after=1)[1:]
    named = {"from": 2, "to": 3, "reason": "expired"}
    assert gap == {"type": "gap", "agentId": agent_id} | named
    assert (snapshot["type"], snapshot["seq"], snapshot["status"]) == ("snapshot", 5, "idle")
    assert [frame["seq"] for frame in rest] == [4, 5]


def test_when_everything_has_expired_the_gap_reaches_to_the_latest(status: Status) -> None:
    agent_id = status.agent()
    status.service.consume(progress(agent_id))
    for row in status.rows("UPDATE#"):
        status.service.table.delete_item(Key={"PK": row["PK"], "SK": row["SK"]})
    gap, snapshot = status.subscribe(status.connect(), agent_id, after=0)[1:]
    assert (gap["from"], gap["to"], gap["reason"]) == (1, 2, "expired")
    assert (snapshot["type"], snapshot["seq"]) == ("snapshot", 2)


def test_a_replay_is_bounded_and_says_what_it_left_out(status: Status, monkeypatch) -> None:
    monkeypatch.setattr(status.service.module.updates, "MAX_REPLAYED", 3)
    agent_id = status.agent()
    status.service.consume(*(progress(agent_id, step) for step in range(1, 9)))
    gap, snapshot, *rest = status.subscribe(status.connect(), agent_id, after=2)[1:]
    assert (gap["type"], gap["from"], gap["to"], gap["reason"]) == ("gap", 3, 6, "tooMany")
    assert snapshot["seq"] == 9
    assert [frame["seq"] for frame in rest] == [7, 8, 9]
    page = status.service.request("GET", f"/agents/{agent_id}/updates?after=2&limit=4").body
    assert [item["seq"] for item in page["items"]] == [3, 4, 5, 6]


def test_a_replay_ends_where_it_becomes_too_much(status: Status, monkeypatch) -> None:
    monkeypatch.setattr(status.service.module.updates, "MAX_REPLAYED_BYTES", 1000)
    agent_id = status.agent()
    for step in range(1, 5):
        status.service.consume(progress(agent_id, step, description="x" * 600))
    one, two, gap, snapshot = status.subscribe(status.connect(), agent_id, after=1)[1:]
    assert [one["seq"], two["seq"]] == [2, 3]
    assert (gap["from"], gap["to"], gap["reason"]) == (4, 5, "tooMany")
    assert snapshot["type"] == "snapshot"


def test_what_commits_during_a_replay_is_pushed(status: Status, monkeypatch) -> None:
    """Between the subscription and the read, between the read and the replay, in the replay."""
    agent_id = status.agent()
    status.connect()
    steps = iter(range(2, 9))
    module = status.service.module.messages
    for name in ("load_owned", "replay"):
        original = getattr(module, name)

        def meanwhile(*args, original=original):
            status.service.consume(progress(agent_id, next(steps)))
            answer = original(*args)
            status.service.consume(progress(agent_id, next(steps)))
            return answer

        monkeypatch.setattr(module, name, meanwhile)
    frames = status.subscribe("c1", agent_id, after=0)
    status.service.consume(progress(agent_id, next(steps)))
    frames += status.gateway.frames("c1")
    heard = {frame["seq"] for frame in frames if frame["type"] == "update"}
    assert heard == set(range(1, 7))


def test_who_subscribes_between_the_read_and_the_commit_of_an_update_hears_of_it(
    status: Status,
) -> None:
    agent_id = status.agent()
    status.connect()
    begun: list[str] = []
    frames: list[dict[str, Any]] = []

    def late(call: str) -> None:
        if call == "TransactWriteItems" and not begun:
            begun.append(call)
            frames.extend(status.subscribe("c1", agent_id))

    with before_calls(late):
        assert status.service.consume(progress(agent_id)) == []
    assert frames[0]["seq"] == 1
    assert [frame["seq"] for frame in status.gateway.frames("c1")] == [2]


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


def test_a_ping_is_answered_with_where_everything_stands(status: Status) -> None:
    one, two = status.agent(), status.agent()
    assert status.say(status.connect(), PING) == [{"type": "pong", "seqs": {}}]
    for agent_id in (one, two):
        status.subscribe("c1", agent_id)
    status.service.consume(progress(two))
    status.gateway.frames("c1")
    assert status.say("c1", PING) == [{"type": "pong", "seqs": {one: 1, two: 2}}]


def test_too_many_messages_are_refused_and_a_flood_ends_the_connection(status: Status) -> None:
    ada = user(quotas=Quotas(requests_per_minute=3))
    with time_machine.travel(datetime(2026, 1, 1, tzinfo=UTC), tick=False):
        status.connect(by=ada)
        status.connect("c2", by=ada)
        answers = [status.say("c1", body) for body in [PING, "junk", PING, PING, PING, "junk"]]
        codes = [frame.get("error", {}).get("code") for (frame,) in answers]
        assert codes == [None, "Invalid", None, *["TooManyRequests"] * 3]
        assert answers[-1][0]["error"]["details"] == {"retryAfterSeconds": 60}
        assert status.gateway.closed == []
        (last,) = status.say("c1", PING)
        assert last["error"]["code"] == "Flood"
        assert status.gateway.closed == ["c1"]
    with time_machine.travel(datetime(2026, 1, 1, 0, 1, tzinfo=UTC), tick=False):
        assert status.say("c2", PING)[0]["type"] == "pong"


def test_a_connection_watches_a_limited_number_of_agents(status: Status, monkeypatch) -> None:
    monkeypatch.setattr(status.service.module.messages, "SUBSCRIPTIONS", Quota("subscriptions", 2))
    one, two, three = (status.agent() for _ in range(3))
    status.connect()
    for agent_id in (one, two, one):
        assert status.subscribe("c1", agent_id)[0]["type"] == "subscribed"
    (answer,) = status.subscribe("c1", three)
    assert answer["error"]["code"] == "QuotaExceeded"
    status.say("c1", json.dumps({"action": "unsubscribe", "agentId": one}))
    assert status.subscribe("c1", three)[0]["type"] == "subscribed"


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


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
words = st.sampled_from(["action", "agentId", "after", "subscribe", "unsubscribe", "ping", "a", 1])
likely = st.dictionaries(words.map(str), words | scalars | st.lists(scalars, max_size=2))


@given(body=st.text() | likely.map(json.dumps) | st.binary().map(lambda b: b.decode("latin-1")))
def test_whatever_is_sent_is_answered(status: Status, body: str) -> None:
    with time_machine.travel(datetime(2026, 1, 1, tzinfo=UTC), tick=False):
        status.connect(by=user(quotas=Quotas(requests_per_minute=10_000)))
        (answer,) = status.say("c1", body)
        assert answer["type"] in ("error", "unsubscribed", "pong")
        assert answer.get("error", {}).get("code") != "InternalError"
        status.disconnect("c1")


def test_too_large_a_message_is_refused(status: Status) -> None:
    body = json.dumps({"action": "ping", "text": "x" * 33_000})
    (answer,) = status.say(status.connect(), body)
    assert answer["error"]["code"] == "TooLarge"


def test_errors_name_the_field_that_is_wrong(status: Status) -> None:
    (answer,) = status.say(status.connect(), '{"action": "subscribe", "agentId": "a", "after": -1}')
    assert [field["field"] for field in answer["error"]["details"]["fields"]] == ["after"]
