"""A circuit breaker for a model provider, shared by all containers through Redis.

Closed, it counts failures within a window; above the threshold it opens. While it is open nobody
calls; after the cooldown one caller at a time may probe, and the first success closes it. Without
Redis it is always closed: it must not be a new way to fail.
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from uuid import uuid4

if TYPE_CHECKING:
    from common.optional_redis import OptionalRedis

THRESHOLD = 20
WINDOW_SECONDS = 30.0
COOLDOWN_SECONDS = 10.0
PROBE_SECONDS = 140.0

_ALLOWS = """
local opened = redis.call('GET', KEYS[1])
if not opened then return 1 end
if tonumber(ARGV[1]) < tonumber(opened) + tonumber(ARGV[2]) then return 0 end
if redis.call('SET', KEYS[3], 1, 'NX', 'PX', ARGV[3]) then return 2 end
return 0
"""
_FAILED = """
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('SET', KEYS[1], ARGV[1], 'EX', 86400)
  redis.call('DEL', KEYS[3])
  return
end
redis.call('ZADD', KEYS[2], ARGV[1], ARGV[4])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', tonumber(ARGV[1]) - tonumber(ARGV[2]))
redis.call('PEXPIRE', KEYS[2], math.ceil(tonumber(ARGV[2]) * 1000))
if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[3]) then
  redis.call('SET', KEYS[1], ARGV[1], 'EX', 86400)
  redis.call('DEL', KEYS[2], KEYS[3])
end
"""


class Breaker:
    def __init__(
        self, redis: "OptionalRedis", name: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._redis = redis
        self._keys = [f"breaker:{{{name}}}:{part}" for part in ("opened", "failures", "probe")]
        self._clock = clock
        self._probing = False

    def allows(self) -> bool:
        """Whether the provider may be called now; in the half-open state for one caller only."""
        answer = self._eval(_ALLOWS, self._clock(), COOLDOWN_SECONDS, int(PROBE_SECONDS * 1000))
        self._probing = answer == 2
        return answer != 0

    def record(self, failed: bool) -> None:
        """How a call ended that was allowed."""
        if failed:
            self._eval(_FAILED, self._clock(), WINDOW_SECONDS, THRESHOLD, uuid4().hex)
        elif self._probing:
            self._redis.ask(self._close)
        self._probing = False

    def _close(self, redis: Any) -> None:
        opened, _, probe = self._keys
        redis.delete(opened, probe)

    def _eval(self, script: str, *arguments: float | str) -> object:
        return self._redis.ask(
            lambda redis: redis.eval(script, len(self._keys), *self._keys, *arguments)
        )
