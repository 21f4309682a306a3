"""Schedules: when an agent is given which task, and what became of it."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Self
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo, available_timezones

from chalicelib.events.models.cron import Cron, in_utc
from common.clock import timestamp
from common.errors import NotFound
from common.models import Id, Model
from common.principals import Principal, scope_of
from pydantic import Field, field_validator, model_validator

MAX_DESCRIPTION = 10_000
MAX_WAITING = 10
LATE = timedelta(hours=1)
"""A firing that arrives later than this is missed."""
LONGEST_TASK = timedelta(hours=25)
"""What has not ended by then is not waited for any more."""
_FIRINGS = UUID("6f0d9d0e-58a1-4d1c-9e5a-9a9f3d9d3c11")
_RATE = re.compile(r"([1-9][0-9]{0,4}) (minute|hour|day)(s?)")
_LOCAL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
_UTC = re.compile(_LOCAL.pattern + r"(\.\d{1,6})?Z")


class OnOverlap(StrEnum):
    """What happens to a firing while the task of the one before still runs."""

    SKIP = "skip"
    QUEUE = "queue"
    PARALLEL = "parallel"


class Outcome(StrEnum):
    STARTED = "started"
    QUEUED = "queued"
    SKIPPED = "skipped"
    MISSED = "missed"
    REFUSED = "refused"


class WantedSchedule(Model):
    """One of `at`, `rate` and `cron` says when; `at` and `cron` are read in `timezone`."""

    agent_id: Id
    description: str = Field(min_length=1, max_length=MAX_DESCRIPTION, pattern=r"\S")
    at: str | None = None
    rate: str | None = None
    cron: str | None = Field(default=None, max_length=200)
    timezone: str = "UTC"
    starts_at: str | None = None
    ends_at: str | None = None
    enabled: bool = True
    on_overlap: OnOverlap = OnOverlap.SKIP

    @field_validator("at")
    @classmethod
    def _is_a_local_time(cls, value: str | None) -> str | None:
        if value is not None:
            if not _LOCAL.fullmatch(value):
                raise ValueError("must be a local time like 2030-01-31T09:00:00")
            datetime.fromisoformat(value)
        return value

    @field_validator("rate")
    @classmethod
    def _is_a_rate(cls, value: str | None) -> str | None:
        match = _RATE.fullmatch(value) if value is not None else None
        if value is not None and (not match or (match[1] == "1") != (match[3] == "")):
            raise ValueError("must be like 1 minute, 5 minutes, 1 hour or 7 days")
        return value

    @field_validator("cron")
    @classmethod
    def _is_a_cron_expression(cls, value: str | None) -> str | None:
        if value is not None:
            Cron.of(value)
        return value

    @field_validator("timezone")
    @classmethod
    def _is_a_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError("must be a time zone of IANA like Europe/Berlin")
        return value

    @field_validator("starts_at", "ends_at")
    @classmethod
    def _is_a_moment(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if not _UTC.fullmatch(value):
            raise ValueError("must be a time of UTC like 2030-01-31T09:00:00Z")
        return timestamp(datetime.fromisoformat(value))

    @model_validator(mode="after")
    def _says_when(self) -> Self:
        if sum(each is not None for each in (self.at, self.rate, self.cron)) != 1:
            raise ValueError("give one of at, rate and cron")
        if self.starts_at and self.ends_at and self.starts_at >= self.ends_at:
            raise ValueError("endsAt must be after startsAt")
        if self.at and in_utc(datetime.fromisoformat(self.at), self.zone) is None:
            raise ValueError(f"at: the clocks of {self.timezone} never show {self.at}")
        return self

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    @property
    def expression(self) -> str:
        """As EventBridge Scheduler takes it."""
        kind, value = next((k, v) for k, v in self._when.items() if v is not None)
        return f"{kind}({value})"

    @property
    def _when(self) -> Mapping[str, str | None]:
        return {"at": self.at, "rate": self.rate, "cron": self.cron}

    def next_after(self, moment: datetime, since: datetime) -> datetime | None:
        """When it is due next, if ever; a rate counts from `since`."""
        first = _moment(self.starts_at) if self.starts_at else since
        found = self._next(max(moment, first - timedelta(milliseconds=1)), first)
        return None if found and self.ends_at and timestamp(found) > self.ends_at else found

    def _next(self, moment: datetime, first: datetime) -> datetime | None:
        if self.cron:
            return Cron.of(self.cron).after(moment, self.zone)
        if self.at:
            at = in_utc(datetime.fromisoformat(self.at), self.zone)
            return at if at and at > moment else None
        number, unit = str(self.rate).rstrip("s").split()
        interval = timedelta(**{f"{unit}s": int(number)})
        return first + interval * max(1, (moment - first) // interval + 1)

    def is_due(self, due_at: str) -> bool:
        """A rate is due whenever EventBridge says so: it alone knows from when it counts."""
        moment = _moment(due_at)
        within = (self.starts_at or "") <= timestamp(moment) <= (self.ends_at or "9")
        if not within or not self.enabled:
            return False
        just_before = moment - timedelta(milliseconds=1)
        return bool(self.rate) or self._next(just_before, moment) == moment


class DueSchedule(Model):
    """What EventBridge Scheduler says."""

    schedule_id: Id
    due_at: str

    @field_validator("due_at")
    @classmethod
    def _is_a_moment(cls, value: str) -> str:
        return timestamp(datetime.fromisoformat(value))


class Authority(Model):
    """What a user may do: as of when they gave the schedule, or as it changed since. `version`
    tells which is newer."""

    scope: str
    quotas: dict[str, int]
    version: int = 0

    @classmethod
    def of(cls, principal: Principal) -> Self:
        return cls(scope=scope_of(principal.permissions), quotas=principal.quotas.wire())


class Firing(Model):
    """One of the times at which a schedule was due. The task that it gives has its id."""

    id: str
    due_at: str
    outcome: Outcome

    @classmethod
    def of(cls, schedule_id: str, due_at: str, outcome: Outcome) -> Self:
        firing = uuid5(_FIRINGS, f"{schedule_id} {due_at}")
        return cls(id=str(firing), due_at=due_at, outcome=outcome)


class ScheduleDetails(WantedSchedule):
    """A schedule as its owner sees it: when it is due next, and what became of the last time."""

    id: str
    user_id: str
    next_at: str | None
    last_firing: Firing | None
    created_at: str
    updated_at: str


class Schedule(Model):
    """`running` is the task that the next firing looks at, `waiting` what waits for its end."""

    id: str
    user_id: str
    wanted: WantedSchedule
    authority: Authority
    created_at: str
    updated_at: str
    last_firing: Firing | None = None
    running: str | None = None
    running_since: str = ""
    waiting: tuple[str, ...] = ()
    version: int = 1

    @property
    def shown(self) -> "ScheduleDetails":
        now = datetime.now(UTC)
        due = self.wanted.next_after(now, self.since) if self.wanted.enabled else None
        return ScheduleDetails.model_construct(
            **dict(self.wanted),
            id=self.id,
            user_id=self.user_id,
            next_at=timestamp(due) if due else None,
            last_firing=self.last_firing,
            created_at=self.created_at,
            updated_at=self.updated_at,
        )

    @property
    def since(self) -> datetime:
        return _moment(self.updated_at)

    @property
    def is_busy(self) -> bool:
        """With the task of an earlier firing."""
        old = timestamp(datetime.now(UTC) - LONGEST_TASK)
        return self.running is not None and self.running_since > old

    def fired(self, due_at: str) -> tuple[Self, Firing]:
        """The schedule afterwards, and what the firing came to."""
        firing = Firing.of(self.id, due_at, self._outcome(due_at))
        changes: dict[str, object] = {"last_firing": firing, "version": self.version + 1}
        if firing.outcome == Outcome.QUEUED:
            changes["waiting"] = (*self.waiting, due_at)
        if firing.outcome == Outcome.STARTED:
            changes |= {"running": firing.id, "running_since": timestamp()}
        return self.model_copy(update=changes), firing

    def _outcome(self, due_at: str) -> Outcome:
        if _moment(due_at) < datetime.now(UTC) - LATE:
            return Outcome.MISSED
        if self.wanted.on_overlap == OnOverlap.PARALLEL or not self.is_busy:
            return Outcome.STARTED
        may_wait = self.wanted.on_overlap == OnOverlap.QUEUE and len(self.waiting) < MAX_WAITING
        return Outcome.QUEUED if may_wait else Outcome.SKIPPED

    def refused(self, for_good: bool) -> Self:
        """With the running task refused; for good, if no other will fare better."""
        last = self.last_firing
        if last and last.id == self.running:
            last = last.model_copy(update={"outcome": Outcome.REFUSED})
        changes: dict[str, object] = {"last_firing": last}
        if for_good:
            changes["wanted"] = self.wanted.model_copy(update={"enabled": False})
        return self.model_copy(update=changes)

    def settled(self) -> tuple[Self, Firing | None]:
        """After the end of the running task: what waited longest comes next."""
        changes: dict[str, object] = {"version": self.version + 1, "running": None}
        if not self.waiting or not self.wanted.enabled:
            return self.model_copy(update={**changes, "waiting": ()}), None
        following = Firing.of(self.id, self.waiting[0], Outcome.STARTED)
        changes |= {"running": following.id, "running_since": timestamp()}
        changes |= {"last_firing": following, "waiting": self.waiting[1:]}
        return self.model_copy(update=changes), following


class ScheduleNotFound(NotFound):
    def __init__(self, schedule_id: str) -> None:
        super().__init__(f"Schedule {schedule_id} does not exist", scheduleId=schedule_id)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
