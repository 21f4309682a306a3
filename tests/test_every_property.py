"""Each correctness property has exactly one test, and that test is not weakened."""

import ast
import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from hypothesis import settings

ROOT = Path(__file__).parents[1]
TAG = re.compile(r"Feature: realtime-agentic-api, Property (\d+): (.+)")
LEAST_EXAMPLES = 100

MISSING: set[int] = set()
"""Not yet tested. A number that has its test must leave this list."""

BATCHES = {30: 10, 45: 10}
"""Cases that one example tries: where starting one is dear, ten examples make a hundred."""


class Claim(NamedTuple):
    number: int
    title: str
    where: str
    function: ast.FunctionDef


def titles() -> dict[int, str]:
    with (ROOT / "tests/properties.tsv").open() as file:
        return {int(row["number"]): row["title"] for row in csv.DictReader(file, delimiter="\t")}


def claims() -> Iterator[Claim]:
    for folder in (*ROOT.glob("*/*/tests"), ROOT / "infra/tests", ROOT / "tests"):
        for file in sorted(folder.rglob("test_*.py")):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.FunctionDef):
                    first_line = (ast.get_docstring(node) or "").partition("\n")[0]
                    if found := TAG.fullmatch(first_line):
                        where = f"{file.relative_to(ROOT)}::{node.name}"
                        yield Claim(int(found[1]), found[2], where, node)


def test_each_property_has_exactly_one_test() -> None:
    numbers = [each.number for each in claims()]
    assert [n for n in sorted(set(numbers)) if numbers.count(n) > 1] == []
    assert set(titles()) - set(numbers) - MISSING == set()


def test_the_list_of_what_is_missing_shrinks() -> None:
    assert {each.number for each in claims()} & MISSING == set()


def test_they_are_called_by_their_titles() -> None:
    known = titles()
    for each in claims():
        assert each.title == known.get(each.number), each.where
        assert each.function.name.startswith(f"test_property_{each.number}_"), each.where


def test_nothing_is_weakened() -> None:
    """Hypothesis tries each of them in at least 100 cases, and none is skipped."""
    assert settings.default is not None
    assert settings.default.max_examples >= LEAST_EXAMPLES
    for each in claims():
        names = [name_of(decorator) for decorator in decorators(each.function)]
        assert "given" in names, each.where
        assert not {"skip", "skipif", "xfail", "reproduce_failure"} & set(names), each.where
        assert all(
            count * BATCHES.get(each.number, 1) >= LEAST_EXAMPLES
            for count in examples(each.function)
        ), each.where


def decorators(function: ast.FunctionDef) -> list[ast.expr]:
    """Its own and those of functions inside: what is set up once surrounds the examples."""
    inside = (node for node in ast.walk(function) if isinstance(node, ast.FunctionDef))
    return [decorator for each in inside for decorator in each.decorator_list]


def name_of(decorator: ast.expr) -> str:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return called.attr if isinstance(called, ast.Attribute) else ast.unparse(called)


def examples(function: ast.FunctionDef) -> Iterator[int]:
    """What its own settings say instead of the profile's; only a literal counts."""
    for decorator in decorators(function):
        if isinstance(decorator, ast.Call) and name_of(decorator) == "settings":
            for argument in decorator.keywords:
                if argument.arg == "max_examples":
                    is_literal = isinstance(argument.value, ast.Constant)
                    yield int(ast.literal_eval(argument.value)) if is_literal else 0
