"""Where the emulator spends most of its time on what it did a moment ago: it reads the same
policies and the same expressions again for each request and each row, asks whose a key is twice for
each request, and for each row of a transaction whether its table may be written to. It compares
keys with an interpreter of expressions, rows of an index as texts, weighs pages that are too short
to be too heavy, and looks for new records at most every 50 ms."""

import gc
import re
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import ModuleType
from typing import Any

LOOKS_AGAIN_AFTER_SECONDS = 0.01
PRINCIPAL_SECONDS = 1.0
"""A new policy takes effect so much later; on AWS it takes longer."""
_REMEMBERED = 4096
_LIGHT_ITEMS = 2
"""An item has 400 KB at most, a page 1 MB."""


def install(
    app: ModuleType,
    dynamodb: ModuleType,
    iam_evaluator: ModuleType,
    iam_actions: ModuleType,
    router: ModuleType,
    lambda_svc: ModuleType,
) -> None:
    for module, name in (
        (dynamodb, "_tokenize"),
        (dynamodb, "_condition_syntax_error"),
        (iam_evaluator, "parse_policy_document"),
    ):
        setattr(module, name, remembering(getattr(module, name)))
    dynamodb._evaluate_condition = comparing_keys(  # type: ignore[attr-defined]
        dynamodb._evaluate_condition
    )
    dynamodb._index_write_view = whole_rows(dynamodb._index_write_view)  # type: ignore[attr-defined]
    dynamodb._paginate_evaluated_items = weighing(  # type: ignore[attr-defined]
        dynamodb._paginate_evaluated_items
    )
    for module, name, seconds in (
        (iam_evaluator, "resolve_principal", PRINCIPAL_SECONDS),
        (app, "formatdate", 1.0),
    ):
        setattr(module, name, lasting(seconds, getattr(module, name)))
    checks = iam_actions.dynamodb_transaction_checks
    iam_actions.dynamodb_transaction_checks = without_repeats(checks)  # type: ignore[attr-defined]
    iam_evaluator.request_caller_arn = owner_of_key(  # type: ignore[attr-defined]
        iam_evaluator.request_caller_arn, router.extract_access_key_id
    )
    lambda_svc._ESM_IDLE_WAKE_GAP_SECONDS = LOOKS_AGAIN_AFTER_SECONDS  # type: ignore[attr-defined]


def collect_seldom() -> None:
    """All rows of all tables are live, and there are more and more of them: to look through them
    for garbage holds up every call, and takes longer and longer."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 1_000)


def remembering(function: Callable[..., Any]) -> Callable[..., Any]:
    """For functions of texts alone. A list is answered as a new one each time; what cannot be
    remembered, such as a document that was read already, is computed."""
    remembered = lru_cache(_REMEMBERED)(function)

    def answer(*texts: Any) -> Any:
        if not all(isinstance(text, str) for text in texts):
            return function(*texts)
        known = remembered(*texts)
        return list(known) if isinstance(known, list) else known

    return answer


def lasting(seconds: float, function: Callable[..., Any]) -> Callable[..., Any]:
    """What is found for the same first arguments that are texts stays true for a while."""
    known: dict[object, tuple[float, Any]] = {}

    def answer(*arguments: Any, **named: Any) -> Any:
        asked = (*(each for each in arguments if isinstance(each, str)), *named.items())
        now = time.monotonic()
        until, found = known.get(asked, (0.0, None))
        if now >= until:
            found = function(*arguments, **named)
            if len(known) >= _REMEMBERED:
                known.clear()
            known[asked] = (now + seconds, found)
        return found

    return answer


def whole_rows(view: Callable[..., Any]) -> Callable[..., Any]:
    """Of an index that has whole rows: the row's keys, and the row. Both are only compared."""

    def answer(table: object, index: Mapping[str, Any], row: Mapping[str, Any] | None) -> Any:
        if index.get("Projection", {}).get("ProjectionType") != "ALL":
            return view(table, index, row)
        names = [key["AttributeName"] for key in index["KeySchema"]]
        if not row or any(name not in row for name in names):
            return None
        return [row[name] for name in names], row

    return answer


def weighing(page: Callable[..., Any]) -> Callable[..., Any]:
    """A page of so few items cannot be too heavy."""

    def answer(items: list[Any], limit: Any, *others: Any) -> Any:
        light = limit is None and len(items) <= _LIGHT_ITEMS
        return (items, False) if light else page(items, limit, *others)

    return answer


_KEYS = re.compile(
    r"(?P<hash>\w+) = (?P<partition>:\w+)"
    r"( AND begins_with\((?P<begins>\w+), (?P<prefix>:\w+)\)"
    r"| AND (?P<between>\w+) BETWEEN (?P<low>:\w+) AND (?P<high>:\w+))?"
)
"""The three forms in which `common.dynamo` asks."""
Attributes = Mapping[str, Mapping[str, Any]]


@lru_cache(_REMEMBERED)
def _form_of(expression: str) -> dict[str, str] | None:
    form = _KEYS.fullmatch(expression)
    return {part: name for part, name in form.groupdict().items() if name} if form else None


def comparing_keys(evaluate: Callable[..., bool]) -> Callable[..., bool]:
    """Key conditions of these forms on keys that are texts are compared at once; all else is left
    to the emulator."""

    def answer(
        expression: str,
        item: Attributes,
        values: Attributes,
        names: object,
        slot: str = "ConditionExpression",
    ) -> bool:
        form = _form_of(expression) if slot == "KeyConditionExpression" else None
        text: dict[str, Any] = {
            part: (values if name.startswith(":") else item).get(name, {}).get("S")
            for part, name in (form or {}).items()
        }
        if form is None or None in text.values():
            return evaluate(expression, item, values, names, slot)
        if text["hash"] != text["partition"]:
            return False
        if "begins" in text:
            return bool(text["begins"].startswith(text["prefix"]))
        return "between" not in text or bool(text["low"] <= text["between"] <= text["high"])

    return answer


def without_repeats(function: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
    """What is allowed for one row of a transaction is allowed for all that are written alike."""

    def answer(*arguments: Any) -> list[Any]:
        return list(dict.fromkeys(function(*arguments)))

    return answer


def owner_of_key(
    arn: Callable[..., str], key_of: Callable[..., str]
) -> Callable[[dict[str, str], Any], str]:
    """A key is the same principal's for as long as it lives, and is verified elsewhere. Nobody's
    key is answered with the account, and not remembered: it may become somebody's."""
    known: dict[str, str] = {}

    def answer(headers: dict[str, str], query_params: Any = None) -> str:
        key = key_of(headers or {}, query_params or {})
        if key not in known:
            found = arn(headers, query_params)
            if found.endswith(":root"):
                return found
            known[key] = found
        return known[key]

    return answer
