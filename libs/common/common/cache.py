"""Cache-aside over Redis: what is read often is read from memory, and never wrong for it.

A reader who missed may be slow, and come back with what was true before a write. So an entry has
the version of what it shows, and a write leaves a mark with the version that it made: what is
older than the mark is not let in. docs/decisions/0014 says why.

Redis is something to do without: while it is down, everything is read from the table.
"""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from common.optional_redis import OptionalRedis

if TYPE_CHECKING:
    from redis import Redis

MAX_CHARS = 256 * 1024
"""Longer values are read where they are: they would push out hundreds of others."""
_MARK_SECONDS = 60.0
"""Longer than any read of the table takes."""

_FILL = """
local known = tonumber(redis.call('HGET', KEYS[1], 'version'))
if known and known > tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'version', ARGV[1], 'value', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
"""
_FORGET = """
local known = tonumber(redis.call('HGET', KEYS[1], 'version'))
if known and known >= tonumber(ARGV[1]) then return 0 end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'version', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
"""


class Kind(NamedTuple):
    """What is cached, and for how many seconds at most."""

    name: str
    seconds: float

    def key(self, name: str) -> str:
        return f"cache:{self.name}:{name}"


AGENT = Kind("agent", 300)
CONTEXT = Kind("context", 60)
MODEL_RESPONSE = Kind("model-response", 3600)


class Entry(NamedTuple):
    """Any JSON, and the version of what it shows."""

    version: int
    value: Any


class Cache:
    def __init__(self, redis: OptionalRedis) -> None:
        self._redis = redis

    def read(self, kind: Kind, name: str, load: Callable[[], Entry | None]) -> Any:
        """What is cached, else what `load` finds, which is cached from then on; None if nothing."""
        cached = self.get(kind, name)
        if cached is not None:
            return cached
        found = load()
        if found is None:
            return None
        self.fill(kind, name, found)
        return found.value

    def get(self, kind: Kind, name: str) -> Any:
        """None for what is not there, or is not what was put there."""
        value: Any = self._redis.ask(lambda redis: redis.hget(kind.key(name), "value"))
        try:
            return None if value is None else json.loads(value)
        except ValueError:
            return None

    def fill(self, kind: Kind, name: str, entry: Entry) -> None:
        """Unless something newer is known."""
        value = json.dumps(entry.value)
        if len(value) <= MAX_CHARS:
            arguments = [entry.version, value, round(kind.seconds * 1000)]
            self._redis.ask(lambda redis: _run(redis, _FILL, kind.key(name), arguments))

    def forget(self, kind: Kind, name: str, version: int) -> None:
        """To be called after the commit that made this version: older ones are not served again.

        Asks also a Redis that is being left alone: an outage may be over for the readers.
        """
        arguments = [version, round(_MARK_SECONDS * 1000)]
        key = kind.key(name)
        self._redis.ask(lambda redis: _run(redis, _FORGET, key, arguments), insist=True)


def _run(redis: "Redis", script: str, key: str, arguments: list[Any]) -> Any:
    return redis.register_script(script)([key], arguments)
