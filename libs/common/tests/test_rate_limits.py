import socket
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Thread

import pytest
from common.optional_redis import OptionalRedis
from common.rate_limits import Limit, RateLimiter, Standing

from tests.redis_server import free_port, redis_server
from tests.service import user

PATIENCE = 10.0
"""These tests are about counting; a busy machine must not look like an outage to them."""


@pytest.fixture
def limiter(redis_url: str) -> RateLimiter:
    return RateLimiter(OptionalRedis.at(redis_url, PATIENCE))


def limit(quota: int, name: str = "user") -> Limit:
    return Limit(name, str(uuid.uuid4()), quota)


def count(limiter: RateLimiter, *limits: Limit) -> Standing:
    standing = limiter.count(*limits)
    assert standing is not None
    return standing


def test_the_quota_is_admitted_and_not_one_more(limiter: RateLimiter) -> None:
    ada = limit(3)
    assert [count(limiter, ada).exceeded for _ in range(5)] == [False] * 3 + [True] * 2


def test_header_fields_say_what_is_left(limiter: RateLimiter) -> None:
    ada = limit(2)
    fields = [count(limiter, ada).header_fields() for _ in range(3)]
    assert {each["RateLimit-Policy"] for each in fields} == {'"user";q=2;w=60'}
    assert [each["RateLimit"].split(";t=")[0] for each in fields] == [
        '"user";r=1',
        '"user";r=0',
        '"user";r=0',
    ]
    assert all(0 < int(each["RateLimit"].split(";t=")[1]) <= 60 for each in fields)


def test_the_limit_of_a_user_is_their_quota() -> None:
    assert Limit.of_user(user("ada")) == Limit("user", "ada", 600)


def test_users_do_not_share_a_limit(limiter: RateLimiter) -> None:
    ada, grace = limit(1), limit(1)
    count(limiter, ada)
    assert count(limiter, ada).exceeded
    assert not count(limiter, grace).exceeded


def test_an_address_and_a_user_of_one_name_do_not_share_a_limit(limiter: RateLimiter) -> None:
    ada = limit(1)
    count(limiter, ada)
    assert not count(limiter, Limit("address", ada.holder, 1)).exceeded


def test_of_several_limits_the_exceeded_one_is_told(limiter: RateLimiter) -> None:
    ada, office = limit(10), limit(1, "address")
    assert count(limiter, ada, office).limit == ada
    assert count(limiter, ada, office).limit == office


def test_users_behind_one_address_share_the_limit_of_the_address(limiter: RateLimiter) -> None:
    office = limit(3, "address")
    refused = [count(limiter, limit(10), office).exceeded for _ in range(5)]
    assert refused == [False] * 3 + [True] * 2


def test_a_window_ends_though_requests_keep_coming(redis_url: str) -> None:
    limiter = RateLimiter(OptionalRedis.at(redis_url, PATIENCE), window=0.5)
    ada, deadline = limit(1), time.monotonic() + PATIENCE
    assert not count(limiter, ada).exceeded
    while count(limiter, ada).exceeded:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_at_the_same_time_exactly_the_quota_is_admitted(limiter: RateLimiter) -> None:
    ada, office = limit(50), limit(1000, "address")
    with ThreadPoolExecutor(8) as pool:
        standings = list(pool.map(lambda _: count(limiter, ada, office), range(120)))
    assert sum(not standing.exceeded for standing in standings) == 50


def test_a_counter_that_never_ends_gets_an_end(redis_url: str, limiter: RateLimiter) -> None:
    ada = limit(1)
    OptionalRedis.at(redis_url, PATIENCE).ask(lambda redis: redis.set(ada.key, 1000))
    assert count(limiter, ada).exceeded
    assert OptionalRedis.at(redis_url, PATIENCE).ask(lambda redis: redis.ttl(ada.key)) in (59, 60)


def test_a_counter_that_is_no_number_refuses_nobody(redis_url: str, limiter: RateLimiter) -> None:
    ada = limit(1)
    OptionalRedis.at(redis_url, PATIENCE).ask(lambda redis: redis.set(ada.key, "garbage"))
    assert limiter.count(ada) is None


def test_a_script_that_redis_has_forgotten_is_told_again(
    redis_url: str, limiter: RateLimiter
) -> None:
    ada = limit(2)
    count(limiter, ada)
    OptionalRedis.at(redis_url, PATIENCE).ask(lambda redis: redis.script_flush())
    assert count(limiter, ada).count == 2


def test_an_outage_refuses_nobody_and_ends_by_itself(caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    with redis_server(port) as url:
        limiter = RateLimiter(OptionalRedis.at(url, PATIENCE))
        ada = limit(1)
        assert not count(limiter, ada).exceeded
    assert [limiter.count(ada) for _ in range(3)] == [None] * 3
    with redis_server(port):
        time.sleep(1.1)
        assert not count(limiter, ada).exceeded
        assert count(limiter, ada).exceeded
    assert [record.message for record in caplog.records] == ["Redis is down"]


def test_during_an_outage_redis_is_left_alone() -> None:
    with connections() as (port, met):
        limiter = RateLimiter(OptionalRedis.at(f"redis://127.0.0.1:{port}"))
        assert [limiter.count(limit(1)) for _ in range(50)] == [None] * 50
        assert len(met) == 1


def test_a_redis_that_does_not_answer_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert RateLimiter(OptionalRedis.at(url_of(silent))).count(limit(1)) is None


@pytest.mark.parametrize(
    "said",
    [b"HTTP/1.1 400 Bad Request\r\n\r\n", b":soon\r\n", b"$-7\r\n", b"\xff\xfe", b"*1\r\n"],
)
def test_what_is_no_redis_refuses_nobody(said: bytes) -> None:
    with connections(said) as (port, _):
        assert RateLimiter(OptionalRedis.at(f"redis://127.0.0.1:{port}")).count(limit(1)) is None


def test_where_nobody_listens_nobody_is_refused() -> None:
    assert RateLimiter(OptionalRedis.at("redis://127.0.0.1:9")).count(limit(1)) is None


def url_of(server: socket.socket) -> str:
    return f"redis://127.0.0.1:{server.getsockname()[1]}"


@contextmanager
def connections(says: bytes = b"") -> Iterator[tuple[int, list[str]]]:
    """A server that says one thing to whoever connects, and hangs up; its port, and who came."""
    met: list[str] = []

    def serve() -> None:
        while True:
            try:
                connection, address = server.accept()
            except OSError:
                return
            with connection:
                met.append(str(address))
                connection.sendall(says)
                connection.recv(10_000)

    with socket.create_server(("127.0.0.1", 0)) as server:
        Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1], met
        server.shutdown(socket.SHUT_RDWR)
