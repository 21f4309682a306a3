"""The parts that every service's app.py is put together from; each is made once per container."""

import os
from functools import cache

import boto3
from botocore.config import Config

from common.cursors import Cursors
from common.dynamo import Table
from common.outbox import Relay
from common.secrets import secret

_CONFIG = Config(connect_timeout=2, read_timeout=10, retries={"total_max_attempts": 4})


@cache
def table() -> Table:
    return Table(boto3.client("dynamodb", config=_CONFIG), os.environ["TABLE_NAME"])


@cache
def outbox_relay() -> Relay:
    return Relay(
        table(),
        boto3.client("events", config=_CONFIG),
        os.environ["EVENT_BUS"],
        boto3.client("sqs", config=_CONFIG),
        os.environ["DEAD_LETTERS_URL"],
    )


@cache
def cursors() -> Cursors:
    return Cursors(secret(os.environ["CURSOR_SECRET"]))
