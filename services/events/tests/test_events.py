"""The journal through its routes and its queue."""

import time
import uuid

import pytest
from common.events.agents import AgentCreatedV1, AgentStatusChangedV1
from common.events.catalogue import CATALOGUE, consumed_by
from common.events.tasks import ErrorOccurredV1, TaskCompletedV1, TaskCreatedV1, TaskProgressV1
from common.principals import Permission

from tests.service import user

BOB = user("bob")


@pytest.fixture
def events(service):
    return service("events")


def agent_created(agent_id="a1", owner="ada", **fields):
    about = {"user_id": owner, "aggregate_id": agent_id, "aggregate_version": 1}
    return AgentCreatedV1(agent_id=agent_id, name="x", configuration={}, **about, **fields)


def task_created(task_id="t1", agent_id="a1", owner="ada", **fields):
    about = {"user_id": owner, "aggregate_id": task_id, "aggregate_version": 1}
    about |= {"task_id": task_id, "agent_id": agent_id, "description": "d"}
    return TaskCreatedV1(**about | fields)


def error(context, owner="ada"):
    about = {"user_id": owner, "aggregate_id": "t1", "aggregate_version": 3}
    return ErrorOccurredV1(
        component="c", error_type="E", error_message="m", context=context, **about
    )


def at(second):
    return f"2026-01-01T00:00:{second:02d}.000Z"


def ids(answer):
    assert answer.status == 200, answer
    return [item["eventId"] for item in answer.body["items"]]


def test_every_event_of_the_catalogue_that_names_this_service_has_a_consumer(events):
    assert set(events.module.consumers.functions) == set(consumed_by("events"))


def test_an_event_reads_back_as_it_travelled(events):
    event = task_created(correlation_id="c1", causation_id="e0")
    assert events.consume(event) == []
    (item,) = events.request("GET", "/events").body["items"]
    assert item == {
        "eventId": event.event_id,
        "type": "TaskCreated",
        "version": 1,
        "source": "realtime-agentic-api.tasks",
        "timestamp": event.timestamp,
        "correlationId": "c1",
        "causationId": "e0",
        "agentId": "a1",
        "taskId": "t1",
        "detail": event.wire(),
    }


def test_a_redelivered_event_is_recorded_once(events):
    event = agent_created()
    assert events.consume(event, event) == []
    assert events.consume(event) == []
    assert ids(events.request("GET", "/events")) == [event.event_id]


def test_entries_expire_after_90_days_and_are_hidden_at_once(events):
    events.consume(agent_created())
    (row,) = [each for each in events.rows() if each["SK"].startswith("EVENT#")]
    assert abs(int(row["TTL"]) - time.time() - 90 * 86400) < 60
    events.table.put_item(Item=row | {"TTL": int(time.time()) - 1})
    assert ids(events.request("GET", "/events")) == []


def test_a_large_event_in_any_script_is_recorded_whole(events):
    event = task_created(description="\u4e16" * 60_000)
    assert events.consume(event) == []
    (item,) = events.request("GET", "/events").body["items"]
    assert item["detail"] == event.wire()


def test_a_user_sees_only_their_own_newest_first_in_pages(events):
    mine = [agent_created(timestamp=at(second)) for second in range(5)]
    events.consume(*mine, agent_created("b1", "bob", timestamp=at(2)))
    seen, path = [], "/events?limit=2"
    while path:
        answer = events.request("GET", path)
        seen += ids(answer)
        token = answer.body["nextToken"]
        path = f"/events?limit=2&nextToken={token}" if token else None
    assert seen == [event.event_id for event in reversed(mine)]


def test_a_task_and_an_agent_have_their_own_histories(events):
    created, task = agent_created(timestamp=at(1)), task_created(timestamp=at(2))
    done = TaskCompletedV1(
        task_id="t1", agent_id="a1", result="r", timestamp=at(3),
        user_id="ada", aggregate_id="t1", aggregate_version=2,
    )  # fmt: skip
    status = AgentStatusChangedV1(
        agent_id="a1", old_status="idle", new_status="processing", timestamp=at(4),
        user_id="ada", aggregate_id="a1", aggregate_version=2,
    )  # fmt: skip
    events.consume(done, status, task, created)
    assert ids(events.request("GET", "/events?taskId=t1")) == [done.event_id, task.event_id]
    assert ids(events.request("GET", "/events?agentId=a1")) == [status.event_id, created.event_id]
    assert ids(events.request("GET", "/events?agentId=a1&type=AgentCreated")) == [created.event_id]
    assert ids(events.request("GET", "/events?type=TaskCompleted")) == [done.event_id]


@pytest.mark.parametrize("filtered", ["taskId=t1", "agentId=a1"])
def test_another_users_history_is_empty_and_does_not_say_how_long_it_is(events, filtered):
    events.consume(*(agent_created() for _ in range(3)), *(task_created() for _ in range(3)))
    answer = events.request("GET", f"/events?limit=1&{filtered}", by=BOB)
    assert answer.body == {"items": [], "nextToken": None}


def test_errors_are_listed_apart_with_what_they_befell(events):
    mine = error({"taskId": "t1", "agentId": "a1"})
    events.consume(agent_created(), mine, error({}, owner="bob"))
    answer = events.request("GET", "/errors")
    assert ids(answer) == [mine.event_id]
    assert answer.body["items"][0]["taskId"] == "t1"
    assert mine.event_id in ids(events.request("GET", "/events"))


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ("agentId=a1&taskId=t1", "body"),
        ("agentId=", "agentId"),
        ("taskId=" + "x" * 3000, "taskId"),
        ("taskId=ü", "taskId"),
        ("type=Nonsense", "type"),
    ],
)
def test_a_filter_that_cannot_be_meant_is_refused_by_field(events, parameters, field):
    answer = events.request("GET", f"/events?{parameters}")
    assert answer.status == 400
    assert answer.body["error"]["details"]["fields"][0]["field"] == field


@pytest.mark.parametrize(
    "path",
    [
        "/events?limit=0",
        "/events?limit=x",
        "/events?agentid=a1",
        "/events?nextToken=abc",
        "/errors?type=TaskCreated",
        "/errors?limit=101",
        "/errors?nextToken=%00",
    ],
)
def test_a_malformed_query_is_refused(events, path):
    assert events.request("GET", path).status == 400


def test_a_cursor_serves_only_the_query_and_the_user_it_was_made_for(events):
    events.consume(*(task_created() for _ in range(2)))
    token = events.request("GET", "/events?taskId=t1&limit=1").body["nextToken"]
    assert token
    again = f"nextToken={token}&limit=1"
    assert events.request("GET", f"/events?taskId=t1&{again}").status == 200
    assert events.request("GET", f"/events?taskId=t2&{again}").status == 400
    assert events.request("GET", f"/events?{again}").status == 400
    assert events.request("GET", f"/errors?{again}").status == 400
    assert events.request("GET", f"/events?taskId=t1&{again}", by=BOB).status == 400


@pytest.mark.parametrize("path", ["/events", "/errors", "/events/catalogue"])
def test_reading_needs_the_permission(events, path):
    other = user(permissions=(Permission("agents", ("read",)),))
    assert events.request("GET", path, by=other).status == 403
    reader = user(permissions=(Permission("events", ("read",)),))
    assert events.request("GET", path, by=reader).status == 200


def test_the_catalogue_is_an_asyncapi_document_of_every_event(events):
    told = events.request("GET", "/events/catalogue").body
    assert told["asyncapi"] == "3.1.0"
    assert set(told["components"]["messages"]) == {e.event.__name__ for e in CATALOGUE}
    created = told["components"]["messages"]["AgentCreatedV1"]
    assert created["summary"].startswith("A user created an agent")
    assert created["x-eventbridge-pattern"] == AgentCreatedV1.pattern()
    payload = told["components"]["schemas"]["AgentCreatedV1"]
    assert {"agentId", "name", "userId"} <= set(payload["required"])
    received = told["operations"]["events.receive.AgentCreatedV1"]
    assert received["action"] == "receive"


def test_an_unknown_version_is_buried(events):
    class TaskCreatedV2(TaskCreatedV1):
        """A version nobody here has heard of."""

    event = TaskCreatedV2.model_validate(task_created().wire())
    assert events.consume(event, agent_created()) == []
    (letter,) = events.buried()
    assert letter["messageAttributes"]["reason"]["stringValue"] == "UnknownVersion"


def test_an_event_of_usual_size_is_recorded_in_one_write_unit(events):
    """Of the table; its index takes as many again."""
    named = {name: str(uuid.uuid4()) for name in ("task_id", "agent_id", "user_id", "aggregate_id")}
    links = {name: str(uuid.uuid4()) for name in ("correlation_id", "causation_id")}
    progress = TaskProgressV1(
        aggregate_version=1,
        current_step=1,
        total_steps=2,
        progress=0.5,
        step_description="Look up what the weather was like",
        **named,
        **links,
    )
    assert events.consume(progress) == []
    (row,) = (row for row in events.rows() if row["SK"].startswith("EVENT#"))
    assert sum(len(name) + len(str(value)) for name, value in row.items()) < 1024
