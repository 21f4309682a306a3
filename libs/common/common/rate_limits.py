"""How many requests a user and an address may make in a minute, counted in Redis."""

import math
from dataclasses import dataclass

from common.optional_redis import OptionalRedis
from common.principals import Principal

_WINDOW_SECONDS = 60

# A window begins with its first request. A counter without an end, whatever made it, gets one.
_COUNT = """
local counts = {}
for number, key in ipairs(KEYS) do
  local count = redis.call('INCR', key)
  local left = redis.call('PTTL', key)
  if left < 0 then
    left = tonumber(ARGV[1])
    redis.call('PEXPIRE', key, left)
  end
  counts[number] = {count, left}
end
return counts
"""


@dataclass(frozen=True)
class Limit:
    """`quota` requests in a window, for one `holder` of its kind."""

    name: str
    holder: str
    quota: int

    @classmethod
    def of_user(cls, user: Principal) -> "Limit":
        return cls("user", user.user_id, user.quotas.requests_per_minute)

    @property
    def key(self) -> str:
        return f"rate:{self.name}:{self.holder}"


@dataclass(frozen=True)
class Standing:
    """Where the holder of a limit stands once a request is counted."""

    limit: Limit
    count: int
    seconds_left: int
    window: int

    @property
    def exceeded(self) -> bool:
        return self.count > self.limit.quota

    def header_fields(self) -> dict[str, str]:
        """As in draft-ietf-httpapi-ratelimit-headers-10."""
        name, quota = self.limit.name, self.limit.quota
        remaining = max(0, quota - self.count)
        return {
            "RateLimit-Policy": f'"{name}";q={quota};w={self.window}',
            "RateLimit": f'"{name}";r={remaining};t={self.seconds_left}',
        }


class RateLimiter:
    """Fixed windows, in one round trip for all limits; docs/decisions/0008 says why."""

    def __init__(self, redis: OptionalRedis, window: float = _WINDOW_SECONDS) -> None:
        self._redis = redis
        self._window = window

    def count(self, *limits: Limit) -> Standing | None:
        """Counts a request against all limits, refused or not: where the first one stands, or the
        first one that is exceeded. None if Redis does not say."""
        keys, window = [limit.key for limit in limits], round(self._window * 1000)
        counts = self._redis.ask(lambda redis: redis.register_script(_COUNT)(keys, [window]))
        if counts is None:
            return None
        standings = [
            Standing(limit, count, max(1, math.ceil(left / 1000)), math.ceil(self._window))
            for limit, (count, left) in zip(limits, counts, strict=True)
        ]
        return next((standing for standing in standings if standing.exceeded), standings[0])
