import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

import boto3
import pytest
from common.clock import new_id
from common.context import correlation_id
from common.dynamo import (
    ANY,
    Action,
    AlreadyHandled,
    Count,
    Delete,
    Put,
    Table,
    retry_conflicts,
)
from common.errors import Conflict, IdempotencyMismatch, QuotaExceeded, Unavailable
from common.events.base import Event
from common.events.tasks import TaskCancelledV1
from common.idempotency import Once, Replayed
from common.quotas import Quota
from hypothesis import given
from hypothesis import strategies as st

from tests.service import Service, before_calls
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


def count(amount: int = 1, limit: int | None = None) -> Count:
    quota = None if limit is None else Quota("things", limit)
    return Count("USER#ada", "THINGS", amount, quota)


def counted(table: Table) -> int:
    return table.number("USER#ada", "THINGS")


def test_what_is_counted_begins_at_nothing(table: Table) -> None:
    assert counted(table) == 0
    table.write(count(2))
    table.write(count(-1))
    assert counted(table) == 1


def test_a_quota_has_room_up_to_its_limit(stored: Service, table: Table) -> None:
    for _ in range(2):
        table.write(count(limit=2))
    with pytest.raises(QuotaExceeded) as refused:
        table.write(Put(row()), count(limit=2), events=[fact()], cause=fact(), once=Once("k", "h"))
    assert refused.value.details == {"quota": "things", "limit": 2, "retryAfterSeconds": 60}
    assert counted(table) == 2
    assert keys(stored) == {"USER#ada"}
    table.write(count(-1))
    table.write(count(limit=2))
    assert counted(table) == 2


@pytest.mark.parametrize(("before", "amount", "limit"), [(0, 1, 0), (0, 3, 2), (2, 2, 3)])
def test_what_does_not_fit_is_not_counted(
    table: Table, before: int, amount: int, limit: int
) -> None:
    if before:
        table.write(count(before))
    with pytest.raises(QuotaExceeded):
        table.write(count(amount, limit))
    assert counted(table) == before


def test_who_is_over_a_smaller_quota_can_only_have_less(table: Table) -> None:
    table.write(count(5))
    with pytest.raises(QuotaExceeded):
        table.write(count(limit=3))
    table.write(count(-3))
    table.write(count(limit=3))
    assert counted(table) == 3


def test_a_conflict_is_told_before_a_quota(table: Table) -> None:
    table.put(row())
    with pytest.raises(Conflict):
        table.write(Put(row(version=3), version=2), count(limit=0))


def test_a_repeated_request_is_answered_where_there_is_no_room_any_more(table: Table) -> None:
    once = Once("key", "hash", 201, "first")
    table.write(Put(row("1")), count(limit=1), once=once)
    with pytest.raises(Replayed):
        table.write(Put(row("2")), count(limit=1), once=once)
    with pytest.raises(QuotaExceeded):
        table.write(Put(row("2")), count(limit=1), once=Once("other", "hash"))


def test_an_event_that_comes_twice_counts_once(table: Table) -> None:
    cause = fact()
    table.write(count(limit=1), cause=cause)
    with pytest.raises(AlreadyHandled):
        table.write(count(limit=1), cause=cause)
    assert counted(table) == 1


@given(amounts=st.lists(st.integers(-3, 3).filter(bool)), limit=st.integers(0, 5))
def test_a_count_is_what_was_let_in_and_never_above_its_limit(
    table: Table, amounts: list[int], limit: int
) -> None:
    begin = counted(table)
    table.write(count(-begin))
    total = 0
    for amount in amounts:
        fits = amount < 0 or total + amount <= limit
        try:
            table.write(count(amount, limit if amount > 0 else None))
        except QuotaExceeded:
            assert not fits
        else:
            assert fits
            total += amount
        assert counted(table) == total


class Contention:
    """Other transactions at work on the same rows: the next so many of ours are cancelled."""

    def __init__(self, client: Any, cancelled: int) -> None:
        self.left = cancelled
        client.meta.events.register("before-call.dynamodb.TransactWriteItems", self._cancel)

    def _cancel(self, **_: object) -> tuple[SimpleNamespace, dict[str, Any]] | None:
        if self.left == 0:
            return None
        self.left -= 1
        error = {"Code": "TransactionCanceledException", "Message": ""}
        reasons = [{"Code": "None"}, {"Code": "TransactionConflict"}]
        answer = {"Error": error, "CancellationReasons": reasons, "ResponseMetadata": {}}
        return SimpleNamespace(status_code=400, headers={}), answer


@pytest.fixture
def lossy(stored: Service) -> Table:
    """The first answer to a put is lost on its way, so that the client sends it again."""
    client = boto3.client("dynamodb")
    client.meta.events.register_first(
        "needs-retry.dynamodb.PutItem", lambda attempts, **_: 0 if attempts == 1 else None
    )
    return Table(client, stored.table.name)


def test_a_put_whose_answer_was_lost_is_not_a_conflict_with_itself(lossy: Table) -> None:
    lossy.write(Put(row(name="a", n=1)))
    assert lossy.get("THING", "ROW") == row(name="a", n=1)
    lossy.write(Put(row(version=2), version=1))
    assert lossy.get("THING", "ROW") == row(version=2)


def test_a_put_that_is_sent_again_still_is_in_conflict_with_others(
    lossy: Table, table: Table
) -> None:
    table.put(row(name="others"))
    with pytest.raises(Conflict):
        lossy.write(Put(row(name="ours")))
    assert table.get("THING", "ROW") == row(name="others")


def test_the_same_put_of_another_process_is_a_conflict(table: Table) -> None:
    table.write(Put(row()))
    with pytest.raises(Conflict):
        table.write(Put(row()))


@pytest.fixture
def contended(stored: Service) -> Callable[[int], Table]:
    def with_contention(cancelled: int) -> Table:
        client = boto3.client("dynamodb")
        Contention(client, cancelled)
        return Table(client, stored.table.name)

    return with_contention


def test_a_shared_counter_is_waited_for(contended: Callable[[int], Table]) -> None:
    table = contended(3)
    table.write(Put(row()), count(limit=1))
    assert counted(table) == 1
    with pytest.raises(QuotaExceeded):
        table.write(Put(row("other")), count(limit=1))


def test_waiting_for_a_shared_counter_is_given_up(contended: Callable[[int], Table]) -> None:
    table = contended(10)
    with pytest.raises(Unavailable):
        table.write(Put(row()), count(limit=1))
    assert counted(table) == 0
    assert table.get("THING", "ROW") is None


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


def test_rows_that_were_read_ahead_are_answered_once(table: Table) -> None:
    table.put_batch([row("A"), row("B")])
    made: list[str] = []
    with before_calls(made.append), table.ahead([("THING", each) for each in "ABC"]):
        assert table.get("THING", "A") == row("A")
        assert table.get_many([("THING", "B"), ("THING", "C")]) == [row("B")]
        assert made == ["BatchGetItem"]
        assert table.get("THING", "A") == row("A")
        assert made == ["BatchGetItem", "GetItem"]


def test_what_was_read_ahead_and_written_since_is_read_again(table: Table) -> None:
    table.put_batch([row("A"), row("B")])
    with table.ahead([("THING", "A"), ("THING", "B")]):
        table.write(Put(row("A", name="new"), version=1))
        assert table.get("THING", "A") == row("A", name="new")
        table.put(row("B", name="another's"))
        assert table.get("THING", "B") == row("B"), "as it was"
        assert table.get("THING", "B") == row("B", name="another's")


def test_nothing_stays_ahead_after_a_failure(table: Table) -> None:
    with pytest.raises(KeyError), table.ahead([("THING", "A")]):
        raise KeyError("A")
    table.put(row("A"))
    assert table.get("THING", "A") == row("A")


def test_more_rows_than_one_request_takes_are_put(stored: Service, table: Table) -> None:
    table.put_batch([row(str(number)) for number in range(60)])
    assert len(stored.rows()) == 60


def test_who_wrote_over_what_they_read_before_a_touch_is_refused(table: Table) -> None:
    table.write(Put(row(name="old")))
    assert table.touch("THING", "ROW", watched=5) == row(name="old", watched=5) | {"version": 2}
    with pytest.raises(Conflict):
        table.write(Put(row(name="new"), version=1))
    table.write(Put(row(name="new"), version=2))


def test_a_touch_makes_the_row(table: Table) -> None:
    assert table.touch("THING", "ROW") == {"PK": "THING", "SK": "ROW", "version": 1}


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


def test_a_refusal_that_was_decided_is_not_tried_again() -> None:
    attempts: list[str] = []

    class Ended(Conflict): ...

    def attempt() -> None:
        attempts.append(new_id())
        raise Ended("already")

    with pytest.raises(Ended):
        retry_conflicts(attempt)
    assert len(attempts) == 1


def test_an_event_is_stored_exactly_as_it_travels(stored: Service, table: Table) -> None:
    event: Event = fact(aggregate_id="t" * 3)
    table.write(events=[event])
    (sent,) = stored.outbox()
    linked = event.caused_by(None, correlation_id.get())
    assert sent == {
        "source": "realtime-agentic-api.tasks",
        "detail-type": "TaskCancelled",
        "detail": linked.wire(),
    }
