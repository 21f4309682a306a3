"""Events become numbered updates, once each, and reach everyone who watches."""

import pytest
from common.dynamo import AlreadyHandled
from common.events.agents import AgentDeletedV1, AgentStatusChangedV1
from common.events.base import Event
from common.events.catalogue import consumed_by
from common.events.tasks import TaskProgressV1, TextGeneratedV1
from hypothesis import given, settings
from hypothesis import strategies as st

from services.status.tests.conftest import Status, created, progress
from tests.service import before_calls


def status_changed(agent_id: str, status: str, version: int) -> Event:
    return AgentStatusChangedV1(
        agent_id=agent_id,
        old_status="idle",
        new_status=status,
        user_id="ada",
        aggregate_id=agent_id,
        aggregate_version=version,
    )


def deleted(agent_id: str) -> Event:
    return AgentDeletedV1(
        agent_id=agent_id, user_id="ada", aggregate_id=agent_id, aggregate_version=9
    )


def test_it_consumes_what_the_catalogue_says(status: Status) -> None:
    assert set(status.service.module.consumers.functions) == set(consumed_by("status"))


def test_a_watcher_receives_every_update_in_full(status: Status) -> None:
    agent_id = status.agent()
    status.subscribe(status.connect(), agent_id)
    event = progress(agent_id, 3, description="dritter Schritt äöü")
    assert status.service.consume(event) == []
    assert status.gateway.frames("c1") == [
        {
            "type": "update",
            "agentId": agent_id,
            "seq": 2,
            "eventId": event.event_id,
            "event": "TaskProgress",
            "taskId": "t1",
            "data": {
                "taskId": "t1",
                "agentId": agent_id,
                "currentStep": 3,
                "totalSteps": 9,
                "progress": 3 / 9,
                "stepDescription": "dritter Schritt äöü",
                "steps": None,
                "toolInvocations": None,
            },
            "timestamp": event.timestamp,
        }
    ]


def test_a_redelivered_event_is_pushed_again_under_its_number(status: Status) -> None:
    agent_id = status.agent()
    status.subscribe(status.connect(), agent_id)
    event = progress(agent_id)
    assert status.service.consume(event, progress(agent_id, 2), event) == []
    assert [frame["seq"] for frame in status.gateway.frames("c1")] == [2, 3, 2]
    assert len(status.rows("UPDATE#")) == 3


def test_a_redelivered_event_whose_update_is_too_old_changes_nothing(status: Status) -> None:
    agent_id = status.agent()
    status.subscribe(status.connect(), agent_id)
    first = progress(agent_id)
    status.service.consume(first)
    for row in status.rows("UPDATE#"):
        status.service.table.delete_item(Key={"PK": row["PK"], "SK": row["SK"]})
    status.gateway.frames("c1")
    assert status.service.consume(first) == []
    assert status.gateway.frames("c1") == []


def text(agent_id: str, offset: int = 0, owner: str = "ada") -> TextGeneratedV1:
    return TextGeneratedV1(
        task_id="t1",
        agent_id=agent_id,
        step="step-1",
        offset=offset,
        text="Hallo, wörld",
        user_id=owner,
        aggregate_id="t1",
        aggregate_version=3,
    )


def test_text_on_its_way_is_shown_and_not_kept(status: Status) -> None:
    agent_id = status.agent()
    status.subscribe(status.connect(), agent_id)
    before = status.service.rows()
    event = text(agent_id, offset=7)
    assert status.service.consume(event) == []
    assert status.gateway.frames("c1") == [
        {
            "type": "text",
            "agentId": agent_id,
            "taskId": "t1",
            "step": "step-1",
            "offset": 7,
            "text": "Hallo, wörld",
            "eventId": event.event_id,
            "timestamp": event.timestamp,
        }
    ]
    assert status.service.rows() == before


def test_text_reaches_the_owners_sockets_alone(status: Status) -> None:
    agent_id = status.agent()
    for connection_id in ("c1", "c2"):
        status.subscribe(status.connect(connection_id), agent_id)
    status.service.consume(text(agent_id, owner="eve"))
    assert status.gateway.posted == []
    status.gateway.gone.add("c1")
    status.service.consume(text(agent_id))
    assert [frame["type"] for frame in status.gateway.frames("c2")] == ["text"]
    assert {row["connectionId"] for row in status.rows()} == {"c2"}


def test_an_older_status_is_an_update_but_not_the_status(status: Status) -> None:
    agent_id = status.agent()
    status.service.consume(
        status_changed(agent_id, "processing", 5), status_changed(agent_id, "idle", 4)
    )
    answer = status.service.request("GET", f"/agents/{agent_id}/status").body
    assert (answer["status"], answer["seq"]) == ("processing", 3)


def test_events_may_arrive_before_their_agent(status: Status) -> None:
    status.service.consume(
        status_changed("early", "processing", 2), progress("early"), created("early")
    )
    answer = status.service.request("GET", "/agents/early/status").body
    assert (answer["status"], answer["seq"]) == ("processing", 3)


def test_a_deleted_agent_says_so_to_its_watchers_and_is_gone(status: Status) -> None:
    agent_id = status.agent()
    status.subscribe(status.connect(), agent_id)
    status.service.consume(deleted(agent_id), created(agent_id))
    assert status.gateway.frames("c1")[0]["event"] == "AgentDeleted"
    assert status.service.request("GET", f"/agents/{agent_id}/status").status == 404


def test_data_too_large_to_be_pushed_is_kept_to_be_fetched(status: Status) -> None:
    agent_id = status.agent()
    status.subscribe(status.connect(), agent_id)
    status.service.consume(progress(agent_id, description="ä" * 60_000))
    status.service.consume(progress(agent_id, description="ä" * 70_000))
    whole, frame = status.gateway.frames("c1")
    assert len(whole["data"]["stepDescription"]) == 60_000
    assert frame["truncated"] is True
    assert "data" not in frame
    (again,) = status.subscribe("c1", agent_id, after=2)[1:]
    assert again == frame
    found = status.service.request("GET", f"/agents/{agent_id}/updates?after=2").body["items"]
    assert [len(each["data"]["stepDescription"]) for each in found] == [70_000]


def test_an_event_about_several_agents_is_one_update_of_each(
    status: Status, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = status.agent(), status.agent()
    for connection_id, agent_id in (("c1", one), ("c2", two)):
        status.subscribe(status.connect(connection_id), agent_id)
    monkeypatch.setitem(status.service.module.AGENTS_OF, TaskProgressV1, lambda _: (one, two, one))
    event = progress(one)
    assert status.service.consume(event, event) == []
    for connection_id, agent_id in (("c1", one), ("c2", two)):
        frames = status.gateway.frames(connection_id)
        assert [(each["agentId"], each["seq"]) for each in frames] == [(agent_id, 2)] * 2
        assert {each["eventId"] for each in frames} == {event.event_id}


def test_a_gone_connection_is_removed_with_all_its_subscriptions(status: Status) -> None:
    one, two = status.agent(), status.agent()
    for connection_id in ("c1", "c2", "c3"):
        status.connect(connection_id)
        status.subscribe(connection_id, one)
        status.subscribe(connection_id, two)
    status.gateway.gone.add("c2")
    assert status.service.consume(progress(one)) == []
    assert [len(status.gateway.frames(each)) for each in ("c1", "c3")] == [1, 1]
    keys = {key for row in status.service.rows() for key in (row["PK"], row["SK"])}
    assert not keys & {"CONNECTION#c2", "SUB#c2"}
    assert len(status.rows()) == 8


def test_a_connection_that_fails_holds_up_neither_the_event_nor_the_others(status: Status) -> None:
    agent_id = status.agent()
    for connection_id in ("c1", "c2"):
        status.subscribe(status.connect(connection_id), agent_id)
    status.gateway.failing.add("c1")
    assert status.service.consume(progress(agent_id)) == []
    assert len(status.gateway.frames("c2")) == 1
    assert len(status.rows()) == 4, "it could not be closed either: the next push tries again"


def test_who_missed_a_frame_is_disconnected_and_asks_for_the_rest(status: Status) -> None:
    agent_id = status.agent()
    for connection_id in ("c1", "c2"):
        status.subscribe(status.connect(connection_id), agent_id)
    status.gateway.refusing.add("c1")
    assert status.service.consume(progress(agent_id)) == []
    assert status.gateway.closed == ["c1"]
    assert {row["connectionId"] for row in status.rows()} == {"c2"}
    missed = status.subscribe(status.connect("c3"), agent_id, after=1)[1:]
    assert [frame["seq"] for frame in missed] == [2]


def test_a_subscription_of_somebody_else_gets_nothing(status: Status) -> None:
    agent_id = status.agent()
    status.subscribe(status.connect(), agent_id)
    for row in status.rows():
        status.service.table.put_item(Item=row | {"userId": "eve"})
    status.service.consume(progress(agent_id))
    assert status.gateway.frames("c1") == []


def test_expired_subscriptions_count_as_gone(status: Status) -> None:
    agent_id = status.agent()
    status.subscribe(status.connect(), agent_id)
    for row in status.rows():
        status.service.table.put_item(Item=row | {"TTL": 1})
    status.service.consume(progress(agent_id))
    assert status.gateway.frames("c1") == []


@pytest.mark.parametrize("events", [1, 2])
def test_a_subscriber_between_the_read_and_the_commit_misses_nothing(
    status: Status, events: int
) -> None:
    agent_id = status.agent()
    status.connect()
    begun: list[str] = []

    def late(call: str) -> None:
        if call == "TransactWriteItems" and not begun:
            begun.append(call)
            status.subscribe("c1", agent_id)

    with before_calls(late):
        assert status.service.consume(*(progress(agent_id) for _ in range(events))) == []
    assert begun
    assert [frame["seq"] for frame in status.gateway.frames("c1")] == [2, 3][:events]


def test_a_batch_is_one_transaction_and_its_updates_come_in_order(status: Status) -> None:
    one, other = status.agent(), status.agent()
    status.subscribe(status.connect("c1"), one)
    status.subscribe(status.connect("c2"), other)
    batch = [progress(one), progress(other), progress(one), status_changed(one, "error", 2)]
    made: list[str] = []
    with before_calls(made.append):
        assert status.service.consume(*batch) == []
    assert (made.count("TransactWriteItems"), made.count("PutItem")) == (1, 0)
    assert [frame["seq"] for frame in status.gateway.frames("c1")] == [2, 3, 4]
    assert [frame["seq"] for frame in status.gateway.frames("c2")] == [2]
    assert status.service.request("GET", f"/agents/{one}/status").body["status"] == "error"


def test_in_a_batch_nobody_hears_of_anothers_agent(status: Status) -> None:
    """The event about it is refused, the others are not held up."""
    agent_id = status.agent()
    status.subscribe(status.connect("c1"), agent_id)
    forged = progress(agent_id).model_copy(update={"user_id": "eve"})
    assert status.service.consume(progress(agent_id), forged, progress(agent_id)) == []
    (letter,) = status.service.buried()
    assert letter["messageAttributes"]["reason"]["stringValue"] == "WrongOwner"
    assert [frame["seq"] for frame in status.gateway.frames("c1")] == [2, 3]


def test_an_unknown_redelivery_is_reported_as_handled(status: Status) -> None:
    event = progress("nobody")
    status.service.consume(event)
    for row in status.service.rows():
        if not str(row["PK"]).startswith("INBOX#"):
            status.service.table.delete_item(Key={"PK": row["PK"], "SK": row["SK"]})
    on_progress = status.service.module.consumers.functions[type(event)]
    with pytest.raises(AlreadyHandled):
        on_progress(event)


@settings(max_examples=25)
@given(
    order=st.lists(st.integers(0, 5), min_size=1, max_size=9),
    statuses=st.lists(st.sampled_from(["idle", "processing", "error"]), min_size=6, max_size=6),
)
def test_no_order_or_repetition_of_events_confuses_the_projection(
    status: Status, order: list[int], statuses: list[str]
) -> None:
    agent_id = status.agent()
    events = [status_changed(agent_id, each, 2 + at) for at, each in enumerate(statuses)]
    assert status.service.consume(*(events[at] for at in order)) == []
    found = status.service.request("GET", f"/agents/{agent_id}/updates").body
    assert [item["seq"] for item in found["items"]] == list(range(1, len(set(order)) + 2))
    now = status.service.request("GET", f"/agents/{agent_id}/status").body
    assert now["status"] == statuses[max(order)]
