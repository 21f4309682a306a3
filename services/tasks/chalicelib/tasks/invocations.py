"""Calls of functions over a network that loses requests and answers."""

import json
import random
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
)

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

TRIES = 3
LONGEST_DELAY_SECONDS = 0.5
_THROTTLED = ("TooManyRequestsException", "ThrottlingException")
_SERVER_ERROR = 500


class NotCalled(Exception):
    """The function was not called, that is certain."""


class NoAnswer(Exception):
    """The function may have done its work or not."""


class Answer(NamedTuple):
    payload: bytes
    is_error: bool


def invoke(
    client: "LambdaClient", function: str, request: Mapping[str, object], *, repeatable: bool
) -> Answer:
    """What was certainly not called is called again, and so is, if `repeatable`, what may have
    been: the request's idempotency key is the same. Raises NotCalled, NoAnswer.

    Who does not answer in time is not asked again: it would take as long.
    """
    for tries_left in reversed(range(TRIES)):
        try:
            return _once(client, function, request)
        except (ClientError, BotoCoreError) as error:
            not_called = _was_not_called(error)
            lasts = _is_final(error) or not (not_called or repeatable)
            if lasts or not tries_left:
                raise (NotCalled if not_called else NoAnswer)(function) from error
        time.sleep(random.uniform(0, LONGEST_DELAY_SECONDS))
    raise AssertionError("the last try answers or raises")


def _once(client: "LambdaClient", function: str, request: Mapping[str, object]) -> Answer:
    answer = client.invoke(FunctionName=function, Payload=json.dumps(request).encode())
    return Answer(answer["Payload"].read(), "FunctionError" in answer)


def _was_not_called(error: ClientError | BotoCoreError) -> bool:
    """Refused by Lambda, or never heard by it. After an error of Lambda's own nobody knows."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return int(status) < _SERVER_ERROR
    return isinstance(error, EndpointConnectionError | ConnectTimeoutError)


def _is_final(error: ClientError | BotoCoreError) -> bool:
    """Whether it would be the same the next time."""
    if isinstance(error, ClientError):
        return _was_not_called(error) and error.response["Error"]["Code"] not in _THROTTLED
    return isinstance(error, ReadTimeoutError)
