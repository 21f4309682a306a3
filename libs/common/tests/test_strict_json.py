import json

import pytest
from common import strict_json
from common.errors import Invalid
from hypothesis import given

from tests.strategies import json_values


def nested(levels: int) -> str:
    return "[" * levels + "1" + "]" * levels


@given(value=json_values)
def test_whatever_the_rfc_allows_is_read_as_it_was_written(value: object) -> None:
    assert strict_json.parse(json.dumps(value)) == value
    assert strict_json.parse(json.dumps(value, ensure_ascii=False).encode()) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "{",
        '{"a": 1}}',
        "{'a': 1}",
        "[1,]",
        "NaN",
        "[Infinity]",
        '{"a": -Infinity}',
        "1e999",
        '[-1e999, "overflow becomes infinity"]',
        "9" * 5000,
        '{"a": 1, "a": 2}',
        '[{"b": {"a": 1, "a": 1}}]',
        '{"a": 1, "\\u0061": 2}',
        '"\\ud800"',
        '{"\\udfff": 1}',
        '["\\udc00\\ud800"]',
        b'"\xed\xa0\x80"',
        b'"\xff"',
        b"\x00",
        "[" * 100_000,
        '{"a":' * 100_000,
        nested(strict_json.MAX_DEPTH + 1),
        nested(500),
    ],
    ids=lambda text: repr(text[:20]),
)
def test_what_storage_or_the_rfc_can_not_hold_is_refused(text: bytes | str) -> None:
    with pytest.raises(Invalid) as refused:
        strict_json.parse(text)
    assert refused.value.status == 400


def test_the_deepest_allowed_nesting_is_accepted() -> None:
    assert strict_json.parse(nested(strict_json.MAX_DEPTH))


def test_a_surrogate_pair_is_one_character() -> None:
    assert strict_json.parse('"\\ud83e\\udd16"') == "🤖"
