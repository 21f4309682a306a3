"""`graphql-transport-ws` as far as API Gateway can: what clients say, and what they hear."""

import json
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from common.events.agents import AgentDeletedV1, AgentStatusChangedV1
from common.events.auth import AccessRevokedV1
from common.events.tasks import TaskCompletedV1, TaskCreatedV1, TaskProgressV1
from common.principals import Permission
from common.quotas import Quotas

from services.graphql.tests.conftest import Clients
from tests import agents
from tests.service import before_calls, user

STATUS = 'subscription { agentStatusUpdated(agentId: "a1") }'
OF_TASK = 'subscription { taskProgressUpdated(agentId: "%s", taskId: "%s") { status } }'
PROGRESS = """subscription P($task: ID!, $after: String) {
  it: taskProgressUpdated(agentId: "a1", taskId: $task, after: $after) {
    ...parts progress result } }
  fragment parts on TaskProgress { status currentStep totalSteps }"""


def about(version: int, id: str = "a1", owner: str = "ada") -> dict[str, object]:
    return {"agent_id": "a1", "user_id": owner, "aggregate_id": id, "aggregate_version": version}


def status(version: int, now: str = "processing") -> AgentStatusChangedV1:
    return AgentStatusChangedV1(old_status="idle", new_status=now, **about(version))


def created(task_id: str = "t1") -> TaskCreatedV1:
    return TaskCreatedV1(task_id=task_id, description="do", **about(1, task_id))


def progress(version: int, step: int, task_id: str = "t1") -> TaskProgressV1:
    share = {"current_step": step, "total_steps": 4, "progress": step / 4}
    return TaskProgressV1(task_id=task_id, **share, **about(version, task_id))


@pytest.fixture
def ada(clients: Clients) -> Clients:
    """An agent of hers with a task, and one connection."""
    clients.service.consume(agents.created("a1"), created())
    clients.connect()
    return clients


def closed(frames: list[dict[str, object]]) -> int:
    """The reason that the connection was ended for, said in a last ping."""
    frame, *more = frames
    assert frame["type"] == "ping"
    assert [each["type"] for each in more] in ([], ["error"])
    assert frame["payload"]["reason"]
    return int(frame["payload"]["code"])


def test_a_status_reaches_whoever_subscribed(ada: Clients) -> None:
    assert ada.subscribe(STATUS) == []
    ada.service.consume(status(2))
    (frame,) = ada.heard("c1")
    assert (frame["type"], frame["id"]) == ("next", "s1")
    assert frame["payload"]["data"] == {"agentStatusUpdated": "PROCESSING"}
    assert frame["payload"]["extensions"]["cursor"]
    ada.service.consume(status(3, "idle"))
    (second,) = ada.heard("c1")
    assert second["payload"]["data"] == {"agentStatusUpdated": "IDLE"}


def test_progress_is_of_the_one_task_that_was_asked_for(ada: Clients) -> None:
    ada.service.consume(created("t2"))
    assert ada.subscribe(PROGRESS, variables={"task": "t1"}) == []
    ada.service.consume(progress(2, 1, "t2"), progress(2, 1))
    (frame,) = ada.heard("c1")
    assert frame["payload"]["data"] == {
        "it": {
            "status": "RUNNING",
            "currentStep": 1,
            "totalSteps": 4,
            "progress": 0.25,
            "result": None,
        }
    }
    ada.service.consume(TaskCompletedV1(task_id="t1", result="42", **about(9, "t1")))
    (last,) = ada.heard("c1")
    assert last["payload"]["data"]["it"]["result"] == "42"


def test_what_is_older_or_known_is_not_told_as_news(ada: Clients) -> None:
    ada.service.consume(progress(5, 3))
    ada.subscribe(PROGRESS, variables={"task": "t1"})
    ada.service.consume(progress(4, 2))
    assert ada.heard("c1") == []


def test_an_event_that_comes_again_is_told_again_under_the_same_cursor(ada: Clients) -> None:
    ada.subscribe(STATUS)
    change = status(2)
    ada.service.consume(change)
    ada.service.consume(change)
    first, again = ada.heard("c1")
    assert first == again


def test_a_client_that_comes_back_misses_nothing(ada: Clients) -> None:
    ada.subscribe(PROGRESS, variables={"task": "t1"})
    ada.service.consume(progress(2, 0))
    (seen,) = ada.heard("c1")
    ada.disconnect("c1")
    ada.service.consume(progress(3, 1), status(2), progress(4, 2))
    ada.connect("c2")
    after = seen["payload"]["extensions"]["cursor"]
    missed = ada.subscribe(PROGRESS, "c2", variables={"task": "t1", "after": after})
    assert [frame["payload"]["data"]["it"]["currentStep"] for frame in missed] == [1, 2]
    ada.service.consume(progress(5, 3))
    (live,) = ada.heard("c2")
    assert live["payload"]["data"]["it"]["currentStep"] == 3
    ada.connect("c3")
    everything = ada.subscribe(PROGRESS, "c3", variables={"task": "t1", "after": "0"})
    assert [frame["payload"]["data"]["it"]["currentStep"] for frame in everything] == [
        0,
        0,
        1,
        2,
        3,
    ]


@pytest.mark.parametrize("after", ["99", "-1", "x", "1.5", "9" * 13])
def test_a_cursor_that_was_never_sent_is_invalid(ada: Clients, after: str) -> None:
    (frame,) = ada.subscribe(PROGRESS, variables={"task": "t1", "after": after})
    assert frame["type"] == "error"
    assert frame["payload"][0]["extensions"]["code"] == "Invalid"
    assert ada.rows("OPERATION#") == []


def test_when_what_was_missed_has_expired_the_client_is_told(ada: Clients) -> None:
    ada.service.consume(progress(2, 1), progress(3, 2))
    (oldest, *_) = sorted(ada.rows("UPDATE#"), key=lambda row: str(row["SK"]))
    ada.service.table.put_item(Item=oldest | {"TTL": 1})
    (frame,) = ada.subscribe(PROGRESS, variables={"task": "t1", "after": "0"})
    assert frame["payload"][0]["extensions"]["code"] == "UpdatesExpired"


def test_several_operations_share_a_connection(ada: Clients) -> None:
    ada.subscribe(STATUS, id="one")
    ada.subscribe(STATUS, id="two")
    ada.service.consume(status(2))
    assert {frame["id"] for frame in ada.heard("c1")} == {"one", "two"}
    assert ada.say("c1", type="complete", id="one") == []
    ada.service.consume(status(3, "idle"))
    assert [frame["id"] for frame in ada.heard("c1")] == ["two"]


def test_a_query_is_answered_and_completed(ada: Clients) -> None:
    answer, end = ada.subscribe('{ agent(id: "a1") { id } }')
    assert answer == {"id": "s1", "type": "next", "payload": {"data": {"agent": {"id": "a1"}}}}
    assert end == {"id": "s1", "type": "complete"}


def test_a_deleted_agent_completes_its_subscriptions(ada: Clients) -> None:
    ada.subscribe(STATUS)
    ada.service.consume(AgentDeletedV1(**about(9)))
    assert ada.heard("c1") == [{"id": "s1", "type": "complete"}]
    assert ada.rows("OPERATION#") == []


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{", "Invalid"),
        ("subscription { nonsense }", "Invalid"),
        ("subscription { agentStatusUpdated }", "Invalid"),
        ("subscription { __typename }", "Invalid"),
        ("subscription A { __typename } subscription B { __typename }", "Invalid"),
        ("subscription($id: ID!) { agentStatusUpdated(agentId: $id) }", "Invalid"),
        ('subscription { a: agentStatusUpdated(agentId: "a1") b: agentStatusUpdated('
         'agentId: "a1") }', "Invalid"),
        ('subscription { agentStatusUpdated(agentId: "nothing") }', "NotFound"),
        ('subscription { agentStatusUpdated(agentId: "a#1") }', "NotFound"),
        (OF_TASK % ("a1", "t9"), "NotFound"),
        (OF_TASK % ("b1", "t1"), "Forbidden"),
        ('subscription { agentStatusUpdated(agentId: "b1") }', "Forbidden"),
        ("{ ...f } fragment f on Query { ...f }", "Invalid"),
        ("subscription { agentStatusUpdated" + " " * 16_400 + "}", "Invalid"),
    ],
)  # fmt: skip
def test_what_is_not_served_is_an_error_of_its_operation(
    ada: Clients, query: str, code: str
) -> None:
    ada.service.consume(agents.created("b1", "bob"))
    (frame,) = ada.subscribe(query)
    assert (frame["id"], frame["type"]) == ("s1", "error")
    extensions = frame["payload"][0]["extensions"]
    assert (extensions["code"], extensions["requestId"]) == (code, "r1")
    assert ada.rows("OPERATION#") == []
    assert ada.say("c1", type="ping") == [{"type": "pong"}]


def test_a_permission_is_needed(ada: Clients) -> None:
    ada.authorizing.known["ApiKey short"] = user(permissions=(Permission("tasks", ("read",)),))
    ada.connect("c2", "short")
    (frame,) = ada.subscribe(STATUS, "c2")
    assert frame["payload"][0]["extensions"]["code"] == "Forbidden"


def test_the_owner_is_asked_for_at_every_push(ada: Clients) -> None:
    ada.subscribe(STATUS)
    (row,) = [row for row in ada.rows("METADATA") if row["PK"] == "AGENT#a1"]
    ada.service.table.put_item(Item=row | {"userId": "bob"})
    ada.service.consume(status(2))
    assert ada.heard("c1") == []


NO_MESSAGES = (
    "",
    "hello",
    "null",
    "[]",
    "5",
    "{}",
    '{"type": null}',
    '{"type": ["ping"]}',
    '{"type": "dance"}',
    '{"type": "subscribe"}',
    '{"type": "subscribe", "id": "1"}',
    '{"type": "subscribe", "id": "", "payload": {"query": "{ a }"}}',
    '{"type": "subscribe", "id": 1, "payload": {"query": "{ a }"}}',
    '{"type": "subscribe", "id": "1", "payload": {}}',
    '{"type": "subscribe", "id": "1", "payload": {"query": 1}}',
    '{"type": "subscribe", "id": "1", "payload": {"query": "{ a }", "variables": []}}',
    '{"type": "subscribe", "id": "1", "payload": {"query": "\\ud800"}}',
    '{"type": "complete"}',
    '{"type": "ping", "payload": 1}',
    '{"type": "ping", "payload": {"x": NaN}}',
    "[" * 2000,
    '{"type": "ping", "payload": {"x": "' + "x" * 33_000 + '"}}',
)


@pytest.mark.parametrize("text", NO_MESSAGES, ids=range(len(NO_MESSAGES)))
def test_what_is_no_message_ends_the_connection(ada: Clients, text: str) -> None:
    assert closed(ada.send("c1", text)) == 4400
    assert ada.gateway.closed == ["c1"]
    assert ada.rows("CONNECTION#") == []


def test_an_id_is_used_once_at_a_time(ada: Clients) -> None:
    ada.subscribe(STATUS)
    assert closed(ada.subscribe(STATUS)) == 4409
    assert ada.rows("OPERATION#") == []


def test_nothing_is_served_before_the_connection_is_initialised(clients: Clients) -> None:
    clients.opened()
    assert clients.say("c1", type="ping") == [{"type": "pong"}]
    assert closed(clients.subscribe("{ __typename }")) == 4401


def test_a_connection_is_initialised_once(ada: Clients) -> None:
    assert closed(ada.say("c1", type="connection_init", payload={"apiKey": "good"})) == 4429


@pytest.mark.parametrize(
    "payload",
    [
        None,
        {},
        {"apiKey": "bad"},
        {"authorization": "ApiKey bad"},
        {"Authorization": 5},
        {"apiKey": "good", "authorization": "ApiKey good"},
    ],
)
def test_who_is_not_known_is_turned_away(clients: Clients, payload: object) -> None:
    clients.opened()
    answers = clients.say("c1", type="connection_init", payload=payload)
    assert closed(answers) == 4403
    assert answers[1]["payload"][0]["message"], "no acknowledgement: clients do not try again"
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=2)):
        assert clients.service.call("sweep", {}) == {"ended": 1}
    assert clients.gateway.closed == ["c1"]
    assert clients.rows("METADATA") == []


@pytest.mark.parametrize("name", ["authorization", "Authorization"])
def test_the_payload_may_name_the_credential_as_a_header_does(clients: Clients, name: str) -> None:
    clients.opened()
    init = {"type": "connection_init", "payload": {name: "ApiKey good"}}
    assert clients.say("c1", **init) == [{"type": "connection_ack"}]


def test_who_named_a_credential_at_the_handshake_need_not_again(clients: Clients) -> None:
    assert clients.opened(Authorization="ApiKey good")["statusCode"] == 200
    assert clients.say("c1", type="connection_init") == [{"type": "connection_ack"}]
    assert clients.opened("c2", Authorization="ApiKey bad") == {"statusCode": 401}


def test_no_other_protocol_is_spoken(clients: Clients) -> None:
    answer = clients.opened()
    assert answer["headers"] == {"Sec-WebSocket-Protocol": "graphql-transport-ws"}
    assert clients.opened("c2", Sec_WebSocket_Protocol="graphql-ws") == {"statusCode": 400}


def test_the_quota_of_sockets_holds(clients: Clients) -> None:
    clients.authorizing.known["ApiKey one"] = user(quotas=Quotas(sockets=1))
    clients.connect("c1", "one")
    clients.opened("c2")
    assert closed(clients.say("c2", type="connection_init", payload={"apiKey": "one"})) == 4403


def test_a_flood_ends_the_connection(clients: Clients) -> None:
    clients.authorizing.known["ApiKey few"] = user(quotas=Quotas(requests_per_minute=3))
    with time_machine.travel("2030-01-01T00:00:01Z", tick=False):
        clients.connect("c1", "few")
        assert [clients.say("c1", type="pong") for _ in range(3)] == [[], [], []]
        assert closed(clients.say("c1", type="pong")) == 4429


def test_who_subscribes_between_the_read_and_the_commit_of_an_update_hears_of_it(
    ada: Clients,
) -> None:
    begun: list[str] = []

    def late(call: str) -> None:
        if call == "TransactWriteItems" and not begun:
            begun.append(call)
            assert ada.subscribe(STATUS) == []

    with before_calls(late):
        assert ada.service.consume(status(2)) == []
    assert begun
    assert [frame["type"] for frame in ada.heard("c1")] == ["next"]


def test_nobody_looks_for_subscriptions_of_an_agent_that_nobody_watches(ada: Clients) -> None:
    made: list[str] = []
    with before_calls(made.append):
        assert ada.service.consume(status(2)) == []
    assert made == ["BatchGetItem", "TransactWriteItems"]


def test_a_batch_is_one_read_and_one_transaction_and_each_update_is_told(ada: Clients) -> None:
    made: list[str] = []
    with before_calls(made.append):
        assert ada.service.consume(status(2), status(3, "idle")) == []
    assert made == ["BatchGetItem", "TransactWriteItems"]
    assert ada.subscribe(STATUS) == []
    assert ada.service.consume(status(4), status(5, "error")) == []
    told = [frame["payload"]["data"]["agentStatusUpdated"] for frame in ada.heard("c1")]
    assert told == ["PROCESSING", "ERROR"]


def test_there_is_an_end_to_subscriptions(ada: Clients, monkeypatch) -> None:
    few = ada.service.module.messages.SUBSCRIPTIONS._replace(limit=2)
    monkeypatch.setattr(ada.service.module.messages, "SUBSCRIPTIONS", few)
    answers = [ada.subscribe(STATUS, id=f"s{number}") for number in range(3)]
    assert answers[:2] == [[], []]
    assert answers[2][0]["payload"][0]["extensions"]["code"] == "QuotaExceeded"


def test_revoked_access_ends_the_connection(ada: Clients) -> None:
    ada.subscribe(STATUS)
    revoked = AccessRevokedV1(credential_id="test", **about(2) | {"aggregate_id": "test"})
    assert ada.service.consume(revoked) == []
    assert ada.gateway.closed == ["c1"]
    assert ada.rows("OPERATION#") == []
    ada.opened("c2")
    assert closed(ada.say("c2", type="connection_init", payload={"apiKey": "good"})) == 4403


def test_a_connection_ends_in_time(clients: Clients) -> None:
    with time_machine.travel("2030-01-01T00:00:00Z", tick=False):
        clients.opened("c1")
        clients.connect("c2")
    with time_machine.travel("2030-01-01T00:02:00Z", tick=False):
        assert clients.service.call("sweep", {}) == {"ended": 1}
        assert closed(clients.say("c1", type="ping")) == 4401
    with time_machine.travel("2030-01-01T02:00:01Z", tick=False):
        assert clients.service.call("sweep", {}) == {"ended": 1}
    assert clients.rows("METADATA") == []
    assert clients.rows("CONNECTION#") == []


def test_a_gone_client_is_forgotten(ada: Clients) -> None:
    ada.subscribe(STATUS)
    ada.gateway.gone.add("c1")
    ada.service.consume(status(2))
    assert ada.rows("OPERATION#") == []


def test_an_answer_too_large_for_a_socket_is_said_to_be(ada: Clients) -> None:
    many = " ".join(f"r{number}: result" for number in range(20))
    query = f'subscription {{ taskProgressUpdated(agentId: "a1", taskId: "t1") {{ {many} }} }}'
    assert ada.subscribe(query) == []
    ada.service.consume(TaskCompletedV1(task_id="t1", result="x" * 20_000, **about(9, "t1")))
    (frame,) = ada.heard("c1")
    assert "too large" in frame["payload"]["errors"][0]["message"]
    assert json.dumps(frame["payload"]["extensions"])


def test_a_subscription_over_http_is_told_where_to_go(ada: Clients) -> None:
    answer = ada.service.request("POST", "/graphql", {"query": STATUS}).body
    assert answer["errors"][0]["message"] == "A subscription needs a WebSocket"
