"""What makes the emulator faster answers what the emulator answers."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from ministack.services import dynamodb

from infra.local.speed import (
    comparing_keys,
    lasting,
    owner_of_key,
    remembering,
    weighing,
    whole_rows,
    without_repeats,
)


def counted(function: Callable[..., object]) -> tuple[Callable[..., object], list[object]]:
    asked: list[object] = []

    def answer(*arguments: object) -> object:
        asked.append(arguments)
        return function(*arguments)

    return answer, asked


def test_what_a_text_means_is_found_out_once() -> None:
    words, asked = counted(lambda text: text.split())
    split = remembering(words)
    first = split("a b")
    first.append("changed")
    assert split("a b") == ["a", "b"], "nobody changes what the next one gets"
    assert len(asked) == 1


def test_what_is_no_text_is_computed_each_time() -> None:
    kind, asked = counted(lambda value: type(value).__name__)
    name = remembering(kind)
    assert [name({}), name({})] == ["dict", "dict"]
    assert len(asked) == 2


def test_a_row_like_another_is_checked_once() -> None:
    checks = without_repeats(lambda: [("Put", "t"), ("Delete", "t"), ("Put", "t"), ("Put", "u")])
    assert checks() == [("Put", "t"), ("Delete", "t"), ("Put", "u")]


def test_a_keys_owner_is_looked_up_once_and_nobodys_each_time() -> None:
    account, owners = "arn:aws:iam::1:root", {"known": "arn:aws:iam::1:role/r"}
    look_up, asked = counted(lambda headers, _query: owners.get(headers["key"], account))
    owner = owner_of_key(look_up, lambda headers, _query: headers["key"])  # type: ignore[arg-type]
    assert [owner({"key": "known"}, None) for _ in range(3)] == [owners["known"]] * 3
    assert len(asked) == 1
    assert owner({"key": "new"}, None) == account
    owners["new"] = "arn:aws:iam::1:user/u"
    assert owner({"key": "new"}, None) == owners["new"]


def test_a_principal_is_found_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    look_up, asked = counted(lambda key, account, _credential=None: (key, account))
    principal = lasting(1.0, look_up)
    assert principal("k", "1") == principal("k", "1", object()) == ("k", "1")
    assert len(asked) == 1
    assert principal("other", "1") == ("other", "1")
    clock[0] += 1.0
    principal("k", "1")
    assert len(asked) == 3


INDEX = {"KeySchema": [{"AttributeName": "GSI1PK"}, {"AttributeName": "GSI1SK"}]}
WHOLE = INDEX | {"Projection": {"ProjectionType": "ALL"}, "IndexName": "GSI1"}
ROW = {"PK": {"S": "p"}, "GSI1PK": {"S": "g"}, "GSI1SK": {"S": "s"}, "data": {"S": "x" * 3000}}


@pytest.mark.parametrize("after", [None, {}, ROW, ROW | {"GSI1SK": {"S": "t"}}, {"PK": {"S": "p"}}])
@pytest.mark.parametrize("before", [None, ROW, {"PK": {"S": "p"}}, ROW | {"data": {"S": ""}}])
def test_a_row_of_an_index_costs_what_the_emulator_says(
    before: Any, after: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = dynamodb._index_write_units({}, WHOLE, before, after)
    monkeypatch.setattr(dynamodb, "_index_write_view", whole_rows(never))
    assert dynamodb._index_write_units({}, WHOLE, before, after) == expected


def test_a_row_of_which_an_index_has_a_part_is_left_to_the_emulator() -> None:
    keys_only = INDEX | {"Projection": {"ProjectionType": "KEYS_ONLY"}}
    with pytest.raises(AssertionError, match="left to the emulator"):
        whole_rows(never)({}, keys_only, ROW)


@pytest.mark.parametrize(("count", "limit"), [(0, None), (2, None), (3, None), (2, 1), (2, "2")])
def test_a_page_ends_where_the_emulator_ends_it(count: int, limit: object) -> None:
    items = [ROW | {"data": {"S": "x" * 399_000}} for _ in range(count)]
    asked: tuple[Any, ...] = (items, limit, {}, None)
    page = dynamodb._paginate_evaluated_items
    assert weighing(page)(*asked) == page(*asked)


def never(*_arguments: object) -> bool:
    raise AssertionError("left to the emulator")


@pytest.mark.parametrize("key", ["", "A", "B#", "B#1", "B#\uffff", "C", "é"])
@pytest.mark.parametrize("partition", ["p", "q"])
@pytest.mark.parametrize(
    "expression",
    ["PK = :pk", "PK = :pk AND begins_with(SK, :p)", "PK = :pk AND SK BETWEEN :p AND :end"],
)
def test_keys_are_compared_as_the_emulator_does(key: str, partition: str, expression: str) -> None:
    item = {"PK": {"S": partition}, "SK": {"S": key}}
    values = {":pk": {"S": "p"}, ":p": {"S": "B#"}, ":end": {"S": "B#\uffff"}}
    asked: tuple[Any, ...] = (expression, item, values, {}, "KeyConditionExpression")
    expected = dynamodb._evaluate_condition(*asked)
    assert comparing_keys(never)(*asked) == expected


@pytest.mark.parametrize(
    ("expression", "slot", "item"),
    [
        ("PK = :pk", "ConditionExpression", {"PK": {"S": "p"}}),
        ("PK = :pk AND SK > :p", "KeyConditionExpression", {"PK": {"S": "p"}, "SK": {"S": "1"}}),
        ("PK = :pk", "KeyConditionExpression", {"PK": {"N": "1"}}),
        ("PK = :pk", "KeyConditionExpression", {}),
    ],
)
def test_what_is_no_comparison_of_texts_is_left_to_the_emulator(
    expression: str, slot: str, item: dict[str, dict[str, str]]
) -> None:
    with pytest.raises(AssertionError, match="left to the emulator"):
        comparing_keys(never)(expression, item, {":pk": {"S": "p"}, ":p": {"S": "0"}}, {}, slot)
