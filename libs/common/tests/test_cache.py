"""The cache on a real Redis: what may be served, for how long, and what makes room for what."""

import time
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from common.cache import AGENT, MAX_CHARS, Cache, Entry, Kind
from common.clock import new_id
from common.optional_redis import OptionalRedis
from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from tests.redis_server import free_port, redis_server
from tests.strategies import json_objects

PATIENCE = 10.0
"""This machine may be busy; how long Redis is waited for is not what is tested here."""


@pytest.fixture
def cache(redis_url: str) -> Cache:
    return Cache(OptionalRedis.at(redis_url, PATIENCE))


def missing() -> Entry | None:
    raise AssertionError("the table was read")


def test_what_was_read_is_cached(cache: Cache) -> None:
    name = new_id()
    assert cache.read(AGENT, name, lambda: Entry(1, {"a": [1, None]})) == {"a": [1, None]}
    assert cache.read(AGENT, name, missing) == {"a": [1, None]}


def test_nothing_is_cached_of_what_is_not_there(cache: Cache) -> None:
    name = new_id()
    assert cache.read(AGENT, name, lambda: None) is None
    assert cache.read(AGENT, name, lambda: Entry(1, "found")) == "found"


def test_what_was_forgotten_is_read_again(cache: Cache) -> None:
    name = new_id()
    cache.fill(AGENT, name, Entry(1, "old"))
    cache.forget(AGENT, name, 2)
    assert cache.get(AGENT, name) is None
    assert cache.read(AGENT, name, lambda: Entry(2, "new")) == "new"
    assert cache.get(AGENT, name) == "new"


def test_a_slow_reader_does_not_bring_back_what_a_write_ended(cache: Cache) -> None:
    name = new_id()

    def slow() -> Entry:
        """What was true before the write that is committed and announced meanwhile."""
        cache.forget(AGENT, name, 2)
        return Entry(1, "old")

    assert cache.read(AGENT, name, slow) == "old"
    assert cache.get(AGENT, name) is None


def test_an_older_write_that_is_announced_late_ends_nothing_newer(cache: Cache) -> None:
    name = new_id()
    cache.fill(AGENT, name, Entry(3, "newest"))
    cache.forget(AGENT, name, 2)
    cache.fill(AGENT, name, Entry(2, "older"))
    assert cache.get(AGENT, name) == "newest"


def test_what_is_too_long_is_not_cached(cache: Cache) -> None:
    name = new_id()
    cache.fill(AGENT, name, Entry(1, "x" * MAX_CHARS))
    assert cache.get(AGENT, name) is None


def test_what_is_no_entry_counts_as_missing(redis_url: str, cache: Cache) -> None:
    name = new_id()
    with Redis.from_url(redis_url) as redis:
        redis.hset(AGENT.key(name), mapping={"version": 1, "value": "{"})
    assert cache.read(AGENT, name, lambda: Entry(1, "found")) == "found"


def test_what_is_of_another_type_counts_as_missing(redis_url: str, cache: Cache) -> None:
    name = new_id()
    with Redis.from_url(redis_url) as redis:
        redis.set(AGENT.key(name), "text")
    assert cache.read(AGENT, name, lambda: Entry(1, "found")) == "found"


def test_without_redis_everything_is_read() -> None:
    cache = Cache(OptionalRedis.at("redis://127.0.0.1:9"))
    for value in ("first", "second"):
        assert cache.read(AGENT, "a", lambda value=value: Entry(1, value)) == value  # type: ignore[misc]
        cache.forget(AGENT, "a", 2)


def test_the_end_of_an_outage_does_not_bring_back_what_a_write_ended() -> None:
    """The writer met Redis down; the readers, in other processes, meet it up again."""
    port = free_port()
    url = f"redis://127.0.0.1:{port}"
    writer, reader = (Cache(OptionalRedis.at(url, PATIENCE)) for _ in range(2))
    assert writer.get(AGENT, "a") is None
    with redis_server(port):
        reader.fill(AGENT, "a", Entry(1, "old"))
        writer.forget(AGENT, "a", 2)
        assert reader.get(AGENT, "a") is None


class Kept(NamedTuple):
    """An entry, and for how many milliseconds it may be kept."""

    value: object
    milliseconds: int


entries = st.lists(
    st.builds(Kept, json_objects, st.integers(1, 60)),
    min_size=1,
    max_size=8,
)


@given(entries=entries, refilled=st.booleans())
def test_property_70_ttl_based_expiration(
    redis_url: str, cache: Cache, entries: list[Kept], refilled: bool
) -> None:
    """Feature: realtime-agentic-api, Property 70: TTL-based expiration"""
    left = {}
    with Redis.from_url(redis_url) as redis:
        for kept in entries:
            kind, name = Kind("kept", kept.milliseconds / 1000), new_id()
            for _ in range(1 + refilled):
                cache.fill(kind, name, Entry(1, kept.value))
            left[name] = kept
            remaining = redis.pttl(kind.key(name))
            assert remaining == -2 or 0 <= remaining <= kept.milliseconds  # -2: over already
            note(f"seen before its end: {cache.get(kind, name) == kept.value}")
        time.sleep(max(kept.milliseconds for kept in entries) / 1000 + 0.002)
        for name, kept in left.items():
            kind = Kind("kept", kept.milliseconds / 1000)
            assert cache.get(kind, name) is None
            assert not redis.exists(kind.key(name))
            assert cache.read(kind, name, lambda: Entry(1, "read again")) == "read again"


@pytest.fixture(scope="module")
def small_redis() -> Iterator[str]:
    """As the platform's own, `allkeys-lru` and all, for what is filled up here."""
    with redis_server() as url:
        yield url


@given(
    idle=st.lists(st.integers(1, 5000), min_size=40, max_size=60, unique=True),
    hot=st.sets(st.integers(0, 39), max_size=4),
)
def test_property_71_lru_eviction(small_redis: str, idle: list[int], hot: set[int]) -> None:
    """Feature: realtime-agentic-api, Property 71: LRU eviction"""
    cache = Cache(OptionalRedis.at(small_redis, PATIENCE))
    with Redis.from_url(small_redis) as redis:
        redis.config_set("maxmemory", 0)
        redis.flushall()
        assert redis.config_get("maxmemory-policy") == {"maxmemory-policy": "allkeys-lru"}
        names = [new_id() for _ in idle]
        for name, seconds in zip(names, idle, strict=True):
            cache.fill(AGENT, name, Entry(1, "x" * 20_000))
            _last_used(redis, AGENT.key(name), seconds)
        used = {names[index] for index in hot}
        assert all(cache.get(AGENT, name) for name in used)
        redis.config_set("maxmemory", redis.info("memory")["used_memory"])
        newest = {new_id() for _ in range(10)}
        for name in newest:
            cache.fill(AGENT, name, Entry(1, "y" * 20_000))
        kept = {name for name in {*names, *newest} if redis.exists(AGENT.key(name))}
    assert used | newest <= kept, "what was used last made room"
    unused = [n for _, n in sorted(zip(idle, names, strict=True), reverse=True) if n not in used]
    ranks = [rank for rank, name in enumerate(unused) if name not in kept]
    assert ranks, "nothing had to make room"
    # Redis samples its keys: what it evicts is among the idlest, not always the very idlest.
    assert sum(ranks) / len(ranks) < (len(unused) - 1) / 2
    note(f"the {len(ranks)} idlest and no others: {ranks == list(range(len(ranks)))}")


def _last_used(redis: Redis, key: str, seconds_ago: int) -> None:
    value = redis.dump(key)
    redis.restore(key, redis.pttl(key), value, replace=True, idletime=seconds_ago)
