"""The breaker on a real Redis, and the delays of retries."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace

import pytest
from chalicelib.tasks.breaker import COOLDOWN_SECONDS, THRESHOLD, WINDOW_SECONDS, Breaker
from chalicelib.tasks.resilience import LONGEST_DELAY_SECONDS, delay_seconds, retry_after
from common.optional_redis import OptionalRedis

from tests.redis_server import free_port, redis_server


@pytest.fixture(scope="module")
def redis() -> Iterator[OptionalRedis]:
    with redis_server() as url:
        connection = OptionalRedis.at(url, patience=2)
        yield connection
        connection.ask(lambda client: client.close())


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def name() -> str:
    return uuid.uuid4().hex


def fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        breaker.allows()
        breaker.record(failed=True)


def test_it_opens_at_the_threshold_for_every_container(
    redis: OptionalRedis, clock: Clock, name: str
) -> None:
    one, another = (Breaker(redis, name, clock) for _ in range(2))
    fail(one, THRESHOLD - 1)
    assert another.allows()
    fail(another, 1)
    assert not one.allows()
    assert not another.allows()
    assert Breaker(redis, f"not-{name}", clock).allows(), "the other provider is not concerned"


def test_failures_that_are_spread_out_do_not_open_it(
    redis: OptionalRedis, clock: Clock, name: str
) -> None:
    breaker = Breaker(redis, name, clock)
    for _ in range(3 * THRESHOLD):
        fail(breaker, 1)
        clock.now += 2 * WINDOW_SECONDS / THRESHOLD
    assert breaker.allows()


def test_one_caller_probes_and_a_success_closes_it(
    redis: OptionalRedis, clock: Clock, name: str
) -> None:
    one, another = (Breaker(redis, name, clock) for _ in range(2))
    fail(one, THRESHOLD)
    clock.now += COOLDOWN_SECONDS
    assert one.allows()
    assert not another.allows()
    one.record(failed=False)
    assert another.allows()


def test_a_probe_that_fails_keeps_it_open(redis: OptionalRedis, clock: Clock, name: str) -> None:
    breaker = Breaker(redis, name, clock)
    fail(breaker, THRESHOLD)
    clock.now += COOLDOWN_SECONDS
    fail(breaker, 1)
    assert not breaker.allows()
    clock.now += COOLDOWN_SECONDS
    assert breaker.allows()


def test_without_redis_it_is_closed(clock: Clock, name: str) -> None:
    breaker = Breaker(OptionalRedis.at(f"redis://127.0.0.1:{free_port()}"), name, clock)
    fail(breaker, 2 * THRESHOLD)
    assert breaker.allows()


@pytest.mark.parametrize(
    ("said", "least"), [("3", 3), ("0.5", 0.5), ("-1", -1), ("soon", None), ("", None)]
)
def test_the_providers_wish_is_read_in_seconds(said: str, least: float | None) -> None:
    error = Exception()
    error.response = SimpleNamespace(headers={"retry-after": said})  # type: ignore[attr-defined]
    assert retry_after(error) == least


def test_the_providers_wish_is_read_as_a_date() -> None:
    error = Exception()
    when = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    error.response = SimpleNamespace(headers={"retry-after": when})  # type: ignore[attr-defined]
    assert 50 < (retry_after(error) or 0) <= 60


def test_nobody_waits_longer_than_the_longest_delay() -> None:
    assert delay_seconds(0, 3600) == LONGEST_DELAY_SECONDS
    assert delay_seconds(0, 3) >= 3
