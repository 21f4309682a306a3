"""Cron expressions as EventBridge Scheduler reads them: six fields, in a time zone."""

import calendar
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple, Self
from zoneinfo import ZoneInfo

SATURDAY = 7


class Bounds(NamedTuple):
    name: str
    low: int
    high: int
    words: tuple[str, ...] = ()

    def number(self, text: str) -> int:
        if text.upper() in self.words:
            return self.low + self.words.index(text.upper())
        if not text.isascii() or not text.isdigit() or not self.low <= int(text) <= self.high:
            raise ValueError(f"{self.name}: {text[:20]!r} is not {self.low} to {self.high}")
        return int(text)

    def numbers(self, text: str) -> frozenset[int]:
        """`*`, or some of `5`, `1-5`, `*/15`, `10/5` and `MON-FRI`, separated by commas."""
        return frozenset(number for part in text.split(",") for number in self._span(part))

    def _span(self, part: str) -> range:
        span, has_step, step = part.partition("/")
        first, has_end, last = span.partition("-")
        low = self.low if span == "*" else self.number(first)
        high = self.number(last) if has_end else self.high if span == "*" or has_step else low
        if low > high:
            raise ValueError(f"{self.name}: {part[:20]!r} runs backwards")
        if has_step and not (step.isascii() and step.isdigit() and 0 < int(step) <= self.high):
            raise ValueError(f"{self.name}: {step[:20]!r} is no step")
        return range(low, high + 1, int(step) if has_step else 1)


MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
MINUTES, HOURS = Bounds("minutes", 0, 59), Bounds("hours", 0, 23)
DAY_OF_MONTH, MONTH = Bounds("day of month", 1, 31), Bounds("month", 1, 12, MONTHS)
DAY_OF_WEEK, YEAR = Bounds("day of week", 1, 7, WEEKDAYS), Bounds("year", 1970, 2199)


@dataclass(frozen=True)
class Cron:
    minutes: frozenset[int]
    hours: frozenset[int]
    day_of_month: str
    months: frozenset[int]
    day_of_week: str
    years: frozenset[int]

    @classmethod
    def of(cls, text: str) -> Self:
        """Raises ValueError, which names the field."""
        parts = text.split()
        if len(parts) != 6:
            raise ValueError("minutes hours day-of-month month day-of-week year: six fields")
        minutes, hours, day_of_month, month, day_of_week, year = parts
        if (day_of_month == "?") == (day_of_week == "?"):
            raise ValueError("one of day of month and day of week is ?, and not both")
        cron = cls(
            MINUTES.numbers(minutes),
            HOURS.numbers(hours),
            day_of_month.upper(),
            MONTH.numbers(month),
            day_of_week.upper(),
            YEAR.numbers(year),
        )
        cron._is_on(date(2000, 1, 1))
        return cron

    def after(self, moment: datetime, zone: ZoneInfo) -> datetime | None:
        """The next time, in UTC. A local time that a change of the clocks leaves out does not
        come; one that it repeats comes once."""
        times = [(hour, minute) for hour in sorted(self.hours) for minute in sorted(self.minutes)]
        for day in self._days(moment.astimezone(zone).date() - timedelta(days=1)):
            for hour, minute in times:
                found = in_utc(datetime(day.year, day.month, day.day, hour, minute), zone)
                if found and found > moment:
                    return found
        return None

    def _days(self, first: date) -> Iterator[date]:
        for year in sorted(year for year in self.years if year >= first.year):
            for month in sorted(self.months):
                for number in range(1, calendar.monthrange(year, month)[1] + 1):
                    day = date(year, month, number)
                    if day >= first and self._is_on(day):
                        yield day

    def _is_on(self, day: date) -> bool:
        """Looks at every part: a wrong one is told even behind one that matches."""
        if self.day_of_week == "?":
            return any([_is_day_of_month(part, day) for part in self.day_of_month.split(",")])
        return any([_is_day_of_week(part, day) for part in self.day_of_week.split(",")])


def in_utc(local: datetime, zone: ZoneInfo) -> datetime | None:
    """None for a time that the clocks of the zone never show."""
    found = local.replace(tzinfo=zone).astimezone(UTC)
    return found if found.astimezone(zone).replace(tzinfo=None) == local else None


def _is_day_of_month(part: str, day: date) -> bool:
    """`L` is the last day, `15W` the working day nearest to the 15th, `LW` the last one."""
    last = calendar.monthrange(day.year, day.month)[1]
    if part == "L":
        return day.day == last
    if part.endswith("W"):
        wanted = last if part == "LW" else DAY_OF_MONTH.number(part[:-1])
        return wanted <= last and day == _nearest_working_day(day.replace(day=wanted), last)
    return day.day in DAY_OF_MONTH.numbers(part)


def _nearest_working_day(day: date, last: int) -> date:
    """In the same month."""
    if day.weekday() == calendar.SATURDAY:
        return day + timedelta(days=2 if day.day == 1 else -1)
    if day.weekday() == calendar.SUNDAY:
        return day + timedelta(days=-2 if day.day == last else 1)
    return day


def _is_day_of_week(part: str, day: date) -> bool:
    """`6L` is the last Friday of the month, `2#1` its first Monday, `L` every Saturday."""
    weekday = day.isoweekday() % 7 + 1
    if part == "L":
        return weekday == SATURDAY
    if part.endswith("L"):
        last = calendar.monthrange(day.year, day.month)[1]
        return weekday == DAY_OF_WEEK.number(part[:-1]) and day.day + 7 > last
    if "#" in part:
        name, _, which = part.partition("#")
        if which not in ("1", "2", "3", "4", "5"):
            raise ValueError(f"day of week: {part[:20]!r} is not the first to fifth")
        return weekday == DAY_OF_WEEK.number(name) and (day.day - 1) // 7 + 1 == int(which)
    return weekday in DAY_OF_WEEK.numbers(part)
