"""JSON from strangers: what the RFC allows and storage can hold, or Invalid."""

import json
from typing import Any, NoReturn

from common.errors import Invalid

MAX_DEPTH = 32


def parse(text: bytes | str) -> Any:
    """Refuses NaN, Infinity, lone surrogates, duplicate keys and more than 32 levels."""
    try:
        value = json.loads(text, parse_constant=_refuse, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise Invalid("The body is not valid JSON") from error
    return strict(value)


def strict(value: Any) -> Any:
    """The value as it is, if JSON can say it: what somebody else parsed may still be refused."""
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise Invalid("The body is not valid JSON") from error
    if _depth(value) > MAX_DEPTH:
        raise Invalid(f"The body is nested deeper than {MAX_DEPTH} levels")
    return value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate key")
    return members


def _depth(value: object) -> int:
    depth, level = 0, [value]
    while level:
        depth += 1
        level = [child for parent in level for child in _children(parent)]
    return depth - 1


def _children(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
