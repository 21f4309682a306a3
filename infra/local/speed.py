"""Where the emulator spends most of its time on what it did a moment ago: it reads the same
policies and the same expressions again for each request and each row, asks whose a key is twice for
each request, and for each row of a transaction whether its table may be written to. It compares
keys with an interpreter of expressions, and looks for new records at most every 50 ms."""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import ModuleType
from typing import Any

LOOKS_AGAIN_AFTER_SECONDS = 0.01
_REMEMBERED = 4096


def install(
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
    checks = iam_actions.dynamodb_transaction_checks
    iam_actions.dynamodb_transaction_checks = without_repeats(checks)  # type: ignore[attr-defined]
    iam_evaluator.request_caller_arn = owner_of_key(  # type: ignore[attr-defined]
        iam_evaluator.request_caller_arn, router.extract_access_key_id
    )
    lambda_svc._ESM_IDLE_WAKE_GAP_SECONDS = LOOKS_AGAIN_AFTER_SECONDS  # type: ignore[attr-defined]


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
