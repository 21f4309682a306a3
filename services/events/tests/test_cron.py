"""Cron expressions, held against a second reader of them, and against the clocks of the world."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from chalicelib.events.models.cron import Cron
from hypothesis import assume, given
from hypothesis import strategies as st
from ministack.services import eventbridge as emulator

ZULU = ZoneInfo("UTC")


def numbers(low: int, high: int) -> st.SearchStrategy[str]:
    one = st.integers(low, high).map(str)
    span = st.tuples(st.integers(low, high), st.integers(low, high)).map(
        lambda ends: f"{min(ends)}-{max(ends)}"
    )
    step = st.integers(1, high).map(lambda n: f"*/{n}")
    return st.just("*") | st.lists(one | span, min_size=1, max_size=3).map(",".join) | step


months = numbers(1, 12) | st.sampled_from(["JAN", "feb-APR", "DEC,JUN"])
days_of_month = numbers(1, 31) | st.sampled_from(["L", "LW", "1W", "15W"])
days_of_week = numbers(1, 7) | st.sampled_from(["MON-FRI", "SUN", "L", "6L", "2#1", "FRI#5"])
days = st.tuples(days_of_month, st.just("?")) | st.tuples(st.just("?"), days_of_week)
expressions = st.tuples(numbers(0, 59), numbers(0, 23), days, months).map(
    lambda p: f"{p[0]} {p[1]} {p[2][0]} {p[3]} {p[2][1]} *"
)
moments = st.datetimes(datetime(2024, 1, 1), datetime(2032, 1, 1)).map(
    lambda moment: moment.replace(tzinfo=UTC)
)


@given(expression=expressions, moment=moments)
def test_the_next_time_is_that_of_another_reader(expression: str, moment: datetime) -> None:
    fields = emulator._parse_cron_fields(f"cron({expression})")
    assume(fields is not None)
    assume(not expression.endswith(" L *"))  # Saturday, which the other reads as the month's last
    expected = emulator._cron_next_fire(fields, moment)
    found = Cron.of(expression).after(moment, ZULU)
    if expected is None:  # it looks ahead for four years only
        assert found is None or found.year >= moment.year + 3
    else:
        assert found == expected


@given(expression=expressions, moment=moments, zone=st.sampled_from(["Asia/Kolkata", "UTC"]))
def test_times_come_one_after_the_other(expression: str, moment: datetime, zone: str) -> None:
    cron = Cron.of(expression)
    first = cron.after(moment, ZoneInfo(zone))
    assume(first is not None)
    assert first is not None
    assert first > moment
    second = cron.after(first, ZoneInfo(zone))
    assert second is None or second > first


@pytest.mark.parametrize(
    ("expression", "zone", "after", "expected"),
    [
        ("0 9 ? * MON-FRI *", "Europe/Berlin", "2026-01-02T12:00Z", "2026-01-05T08:00Z"),
        ("0 9 ? * MON-FRI *", "Europe/Berlin", "2026-07-03T12:00Z", "2026-07-06T07:00Z"),
        ("30 2 * * ? *", "Europe/Berlin", "2026-03-28T12:00Z", "2026-03-30T00:30Z"),  # 29th: none
        ("30 2 * * ? *", "Europe/Berlin", "2026-10-24T12:00Z", "2026-10-25T00:30Z"),  # once, not
        ("30 2 * * ? *", "Europe/Berlin", "2026-10-25T00:30Z", "2026-10-26T01:30Z"),  # twice
        ("0 0 1 1 ? 2028", "Pacific/Auckland", "2026-01-01T00:00Z", "2027-12-31T11:00Z"),
        ("0 12 L 2 ? *", "UTC", "2027-03-01T00:00Z", "2028-02-29T12:00Z"),
    ],
)
def test_local_times(expression: str, zone: str, after: str, expected: str) -> None:
    found = Cron.of(expression).after(datetime.fromisoformat(after), ZoneInfo(zone))
    assert found == datetime.fromisoformat(expected)


@pytest.mark.parametrize("expression", ["0 0 30 2 ? *", "0 0 ? 2 * 2020", "0 0 31 4,6 ? *"])
def test_what_never_comes(expression: str) -> None:
    assert Cron.of(expression).after(datetime(2026, 1, 1, tzinfo=UTC), ZULU) is None


WRONG: dict[str, Any] = {
    "": "six fields",
    "* * * * *": "six fields",
    "0 0 * * * *": "one of day of month and day of week",
    "0 0 ? * ? *": "one of day of month and day of week",
    "60 0 * * ? *": "minutes",
    "-1 0 * * ? *": "minutes",
    "5-1 0 * * ? *": "minutes",
    "*/0 0 * * ? *": "minutes",
    "0 24 * * ? *": "hours",
    "0 1.5 * * ? *": "hours",
    "0 0 0 * ? *": "day of month",
    "0 0 32W * ? *": "day of month",
    "0 0 1,x * ? *": "day of month",
    "0 0 * 13 ? *": "month",
    "0 0 * JANUARY ? *": "month",
    "0 0 ? * 8 *": "day of week",
    "0 0 ? * MON#6 *": "day of week",
    "0 0 ? * XL *": "day of week",
    "0 0 * * ? 1969": "year",
    "0 0 * * ? 2200": "year",
    "٣ 0 * * ? *": "minutes",
}


@pytest.mark.parametrize("expression", WRONG)
def test_a_wrong_field_is_named(expression: str) -> None:
    with pytest.raises(ValueError, match=WRONG[expression]):
        Cron.of(expression)
