import json
from typing import Any, NamedTuple

import pytest
from common.clock import new_id
from common.context import correlation_id
from common.dynamo import ANY, Action, AlreadyHandled, Delete, Put, Table, retry_conflicts
from common.errors import Conflict, IdempotencyMismatch
from common.events.base import Event
from common.events.tasks import TaskCancelledV1
from common.idempotency import Once, Replayed
from hypothesis import given
from hypothesis import strategies as st

from tests.service import Service
from tests.strategies import json_values


class Said(NamedTuple):
    text: str

    def wire(self) -> dict[str, object]:
        return {"said": self.text}


def fact(**fields: Any) -> TaskCancelledV1:
    about = {"user_id": "ada", "aggregate_id": "t", "aggregate_version": 1}
    return TaskCancelledV1(task_id="t", agent_id="a", **(about | fields))


def row(sk: str = "ROW", **fields: Any) -> dict[str, Any]:
    return {"PK": "THING", "SK": sk, "version": 1, **fields}


def keys(stored: Service) -> set[str]:
    return {str(each["PK"]) for each in stored.rows()}


def test_state_outbox_and_inbox_are_written_together(stored: Service, table: Table) -> None:
    cause, effect = fact(), fact()
    table.write(Put(row(name="new")), events=[effect], cause=cause)
    assert table.get("THING", "ROW") == row(name="new")
    assert keys(stored) == {"THING", f"OUTBOX#{effect.event_id}", f"INBOX#{cause.event_id}"}
    assert [each["detail"]["eventId"] for each in stored.outbox()] == [effect.event_id]


@pytest.mark.parametrize(
    "action",
    [
        Put(row("there")),
        Put(row("there", version=3), version=2),
        Put(row("missing"), version=1),
        Delete("THING", "there", version=2),
        Delete("THING", "missing", version=1),
    ],
)
def test_when_a_row_is_not_as_it_was_read_nothing_is_written(
    stored: Service, table: Table, action: Action
) -> None:
    table.put(row("there"))
    with pytest.raises(Conflict):
        table.write(
            Put(row("other")), action, events=[fact()], cause=fact(), once=Once("key", "hash")
        )
    assert [each["SK"] for each in stored.rows()] == ["there"]


def test_a_row_at_the_version_that_was_read_is_replaced_or_deleted(table: Table) -> None:
    table.write(Put(row()))
    table.write(Put(row(version=2, name="b"), version=1))
    assert table.get("THING", "ROW") == row(version=2, name="b")
    table.write(Delete("THING", "ROW", version=2))
    assert table.get("THING", "ROW") is None


def test_any_version_is_overwritten_when_asked_for(table: Table) -> None:
    table.write(Put(row(name="a"), version=ANY))
    table.write(Put(row(name="b"), version=ANY))
    assert table.get("THING", "ROW") == row(name="b")


def test_an_event_takes_effect_once(stored: Service, table: Table) -> None:
    cause = fact()
    table.write(Put(row(), version=ANY), cause=cause)
    with pytest.raises(AlreadyHandled):
        table.write(Put(row(name="again"), version=ANY), events=[fact()], cause=cause)
    assert table.get("THING", "ROW") == row()
    assert stored.outbox() == []


def test_an_event_already_handled_is_told_from_a_conflict(table: Table) -> None:
    cause = fact()
    table.write(Put(row()), cause=cause)
    with pytest.raises(AlreadyHandled):
        table.write(Put(row()), cause=cause)
    with pytest.raises(Conflict):
        table.write(Put(row()), cause=fact())


def test_a_repeated_request_gets_the_first_answer_and_changes_nothing(
    stored: Service, table: Table
) -> None:
    once = Once("key", "hash").answering(201, Said("first"), etag='"1"')
    table.write(Put(row("1")), events=[fact()], once=once)
    with pytest.raises(Replayed) as replayed:
        table.write(Put(row("2")), events=[fact()], once=once.answering(201, Said("second")))
    assert replayed.value.answer == once
    assert table.get("THING", "2") is None
    assert len(stored.outbox()) == 1


def test_a_key_used_for_another_request_is_a_mismatch(table: Table) -> None:
    table.write(Put(row("1")), once=Once("key", "hash"))
    with pytest.raises(IdempotencyMismatch):
        table.write(Put(row("2")), once=Once("key", "another hash"))
    assert table.get("THING", "2") is None


def test_a_caused_request_replays_too(table: Table) -> None:
    once = Once("key", "hash", 201, "answer")
    table.write(Put(row("1")), once=once, cause=fact())
    with pytest.raises(Replayed):
        table.write(Put(row("2")), once=once, cause=fact())


def test_an_event_in_the_outbox_is_linked_to_its_cause(stored: Service, table: Table) -> None:
    cause = fact(correlation_id="c", traceparent="00-t")
    table.write(Put(row()), events=[fact(correlation_id="own")], cause=cause)
    (sent,) = stored.outbox()
    links = {name: sent["detail"][name] for name in ("correlationId", "causationId", "traceparent")}
    assert links == {
        "correlationId": "c",
        "causationId": cause.event_id,
        "traceparent": "00-t",
    }


@pytest.mark.parametrize(
    ("own", "request_id", "expected"),
    [("own", "request", "own"), (None, "request", "request"), (None, None, "event-1")],
)
def test_an_event_without_a_cause_starts_its_own_correlation(
    stored: Service, table: Table, own: str | None, request_id: str | None, expected: str
) -> None:
    token = correlation_id.set(request_id)
    table.write(Put(row()), events=[fact(event_id="event-1", correlation_id=own)])
    correlation_id.reset(token)
    assert [event["detail"]["correlationId"] for event in stored.outbox()] == [expected]


@given(value=json_values, text=st.text(), flag=st.booleans(), number=st.integers(-(10**37), 10**37))
def test_what_is_put_is_what_is_got(
    table: Table, value: object, text: str, flag: bool, number: int
) -> None:
    written = row(free=json.dumps(value), text=text, flag=flag, number=number)
    table.put(written | {"nothing": None})
    read = table.get("THING", "ROW")
    assert read == written
    assert json.loads(read["free"]) == value


@pytest.mark.parametrize("value", [1.5, b"bytes", [1], {"a": 1}])
def test_a_row_holds_nothing_that_would_come_back_changed(table: Table, value: object) -> None:
    with pytest.raises(TypeError):
        table.put(row(value=value))


def test_a_query_is_read_page_by_page_in_order(table: Table) -> None:
    for number in range(5):
        table.put(row(f"STEP#{number}", GSI1PK="ALL", GSI1SK=f"{9 - number}"))
    table.put(row("OTHER"))
    seen, start = [], None
    while True:
        page = table.query("THING", prefix="STEP#", limit=2, start=start)
        seen += [each["SK"] for each in page.rows]
        start = page.position
        if not start:
            break
    assert seen == [f"STEP#{number}" for number in range(5)]
    assert [each["SK"] for each in table.query("THING", prefix="STEP#", forward=False).rows] == [
        *reversed(seen)
    ]
    after = table.query("THING", prefix="STEP#", after="STEP#2").rows
    assert [each["SK"] for each in after] == ["STEP#3", "STEP#4"]
    by_index = table.query("ALL", index="GSI1").rows
    assert [each["SK"] for each in by_index] == [*reversed(seen)]


def test_more_rows_than_one_request_takes_are_deleted(stored: Service, table: Table) -> None:
    for number in range(30):
        table.put(row(str(number)))
    table.delete_batch([("THING", str(number)) for number in range(30)])
    assert stored.rows() == []


def test_a_conflict_is_tried_again_until_it_is_resolved() -> None:
    outcomes = iter([Conflict("1"), Conflict("2"), "done"])

    def attempt() -> object:
        outcome = next(outcomes)
        if isinstance(outcome, Conflict):
            raise outcome
        return outcome

    assert retry_conflicts(attempt) == "done"


def test_an_endless_conflict_is_given_up() -> None:
    attempts: list[str] = []

    def attempt() -> None:
        attempts.append(new_id())
        raise Conflict("for ever")

    with pytest.raises(Conflict):
        retry_conflicts(attempt, attempts=3)
    assert len(attempts) == 3


def test_an_event_is_stored_exactly_as_it_travels(stored: Service, table: Table) -> None:
    event: Event = fact(aggregate_id="t" * 3)
    table.write(events=[event])
    (sent,) = stored.outbox()
    linked = event.caused_by(None, None)
    assert sent == {
        "source": "realtime-agentic-api.tasks",
        "detail-type": "TaskCancelled",
        "detail": linked.wire(),
    }
