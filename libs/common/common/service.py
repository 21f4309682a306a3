"""The parts that every service's app.py is put together from; each is made once per container."""

import os
from functools import cache

import boto3

from common.cache import Cache
from common.calls import patience
from common.cursors import Cursors
from common.dead_letters import DeadLetters
from common.dynamo import Table
from common.optional_redis import OptionalRedis
from common.outbox import Relay
from common.rate_limits import RateLimiter
from common.secrets import signing_secret

_CONFIG = patience(10, tries=4)
_ONCE = patience(5, tries=1)
"""For the relay: what it cannot publish at once is swept up; it must not hold up the stream."""


@cache
def table() -> Table:
    return Table(boto3.client("dynamodb", config=_CONFIG), os.environ["TABLE_NAME"])


@cache
def outbox_relay() -> Relay:
    return Relay(
        table(),
        boto3.client("events", config=_ONCE),
        os.environ["EVENT_BUS"],
        boto3.client("sqs", config=_CONFIG),
        os.environ["DEAD_LETTERS_URL"],
    )


@cache
def dead_letters() -> DeadLetters:
    return DeadLetters(boto3.client("sqs", config=_CONFIG), os.environ["DEAD_LETTERS_URL"])


@cache
def cursors() -> Cursors:
    return Cursors(signing_secret(os.environ["CURSOR_SECRET"]))


@cache
def redis_client() -> OptionalRedis:
    return OptionalRedis.at(os.environ["REDIS_URL"], secret_name=os.environ.get("REDIS_SECRET"))


@cache
def shared_cache() -> Cache:
    return Cache(redis_client())


@cache
def rate_limiter() -> RateLimiter:
    return RateLimiter(redis_client())
