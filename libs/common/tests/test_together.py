"""Writes that commit together do what they would do one after the other, or nothing at all."""

from collections.abc import Callable
from typing import Any

import pytest
from common.dynamo import ANY, AlreadyHandled, Count, Delete, Put, Table
from common.errors import Conflict
from common.events.tasks import TaskStartedV1
from common.together import MAX_ACTIONS, Apart
from hypothesis import given
from hypothesis import strategies as st

from tests.service import Service, before_calls


def row(sk: str, version: int = 1, **fields: Any) -> dict[str, Any]:
    return {"PK": "THING", "SK": sk, "version": version, **fields}


def started(event_id: str) -> TaskStartedV1:
    about = {"user_id": "ada", "aggregate_id": "t", "aggregate_version": 1}
    return TaskStartedV1(task_id="t", agent_id="a", event_id=event_id, **about)


def one_more(table: Table, sk: str, cause: TaskStartedV1) -> None:
    before = table.get("THING", sk)
    version = before["version"] if before else 0
    table.write(Put(row(sk, version + 1), version=version or None), cause=cause)


def refused(table: Table, *writes: Callable[[], object]) -> bool:
    try:
        with table.together():
            for write in writes:
                write()
    except Apart:
        return True
    return False


def views(table: Table) -> list[object]:
    """What is to be seen of the rows in every way, apart from pages and the index."""
    many = table.get_many([("THING", each) for each in "ABC"])
    return [
        [table.get("THING", each) for each in "ABC"],
        sorted(many, key=lambda each: str(each["SK"])),
        table.query("THING").rows,
        table.query("THING", prefix="B", forward=False).rows,
        table.query("THING", prefix="B", after="A").rows,
    ]


@given(
    before=st.lists(st.sampled_from("ABC"), max_size=3),
    batch=st.lists(st.sampled_from("ABC"), min_size=1, max_size=8),
)
def test_a_batch_reads_and_leaves_what_its_writes_would_one_by_one(
    stored: Service, table: Table, before: list[str], batch: list[str]
) -> None:
    seen, left = [], []
    for together in (False, True):
        for old in stored.rows():
            table.delete(old["PK"], old["SK"])
        for number, sk in enumerate(before):
            one_more(table, sk, started(f"before-{number}"))
        if together:
            with table.together():
                seen.append([_after(table, sk, number) for number, sk in enumerate(batch)])
        else:
            seen.append([_after(table, sk, number) for number, sk in enumerate(batch)])
        left.append({(each["PK"], each["SK"]): each.get("version") for each in stored.rows()})
    assert seen[0] == seen[1]
    assert left[0] == left[1]


def _after(table: Table, sk: str, number: int) -> list[object]:
    one_more(table, sk, started(f"now-{number}"))
    return views(table)


def test_all_that_is_written_together_is_one_call(stored: Service, table: Table) -> None:
    made: list[str] = []
    with before_calls(made.append), table.together():
        for sk in "AAB":
            table.write(Put(row(sk), version=ANY))
        assert made == []
        assert table.get("THING", "A") == row("A")
        assert stored.rows() == []
    assert made == ["TransactWriteItems"]
    assert len(stored.rows()) == 2


def test_what_nobody_writes_is_no_call(table: Table) -> None:
    made: list[str] = []
    with before_calls(made.append), table.together():
        pass
    assert made == []


def test_if_one_row_refuses_nothing_is_written(stored: Service, table: Table) -> None:
    table.put(row("A", 2))
    assert refused(table, lambda: table.write(Put(row("B")), Put(row("A", 2), version=1)))
    assert stored.rows() == [row("A", 2)]
    with pytest.raises(Conflict):
        table.write(Put(row("A", 2), version=1))


def test_what_fails_meanwhile_leaves_nothing(stored: Service, table: Table) -> None:
    def fail() -> None:
        table.write(Put(row("A")))
        raise KeyError("A")

    with pytest.raises(KeyError), table.together():
        fail()
    assert stored.rows() == []
    assert table.get("THING", "A") is None


def test_an_event_that_was_handled_before_writes_nothing_for_the_others(
    stored: Service, table: Table
) -> None:
    table.write(Put(row("A")), cause=started("old"))
    rows = stored.rows()
    assert refused(
        table,
        lambda: table.write(Put(row("B")), cause=started("new")),
        lambda: table.write(Put(row("A", 2), version=1), cause=started("old")),
    )
    assert stored.rows() == rows
    with pytest.raises(AlreadyHandled):
        table.write(Put(row("A", 2), version=1), cause=started("old"))


TWICE = {
    "the same event": lambda table: [table.write(cause=started("e")) for _ in range(2)],
    "two new rows with one key": lambda table: [table.write(Put(row("A"))) for _ in range(2)],
    "over a version that is not there": lambda table: [
        table.write(Put(row("A", each + 1), version=each or None)) for each in (0, 5)
    ],
    "written and deleted": lambda table: [
        table.write(Put(row("A"), version=ANY)),
        table.write(Delete("THING", "A", 1)),
    ],
    "counted and read": lambda table: [
        table.write(Count("THING", "A", 1)),
        table.get("THING", "A"),
    ],
    "more rows than a transaction takes": lambda table: [
        table.write(Put(row(str(each)))) for each in range(MAX_ACTIONS + 1)
    ],
    "a page of a list that is written to": lambda table: [
        table.write(Put(row("A"))),
        table.query("THING", limit=1),
    ],
}


@pytest.mark.parametrize("case", TWICE)
def test_what_cannot_be_one_transaction_is_refused(
    stored: Service, table: Table, case: str
) -> None:
    assert refused(table, lambda: TWICE[case](table))
    assert stored.rows() == []


def test_pages_of_other_lists_and_the_index_do_not_know_of_it(table: Table) -> None:
    table.put(row("A", GSI1PK="ALL", GSI1SK="1"))
    with table.together():
        table.write(Put(row("B", GSI1PK="ALL", GSI1SK="2")))
        assert len(table.query("OTHER", limit=1).rows) == 0
        assert len(table.query("THING", prefix="A", limit=1).rows) == 1
        assert [each["SK"] for each in table.query("ALL", index="GSI1").rows] == ["A"]
