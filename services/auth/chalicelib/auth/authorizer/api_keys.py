"""API keys: looked up in the table, which takes the AWS SDK; imported when the first one comes."""

import json
import os
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

import boto3
from chalicelib.auth.repository.attempts import AttemptRepository
from chalicelib.auth.repository.credentials import CredentialRepository
from chalicelib.auth.use_cases import credentials as use_cases
from common.clock import timestamp
from common.principals import Principal
from common.service import table

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

USE_NOTED = timedelta(seconds=60)
"""A use this soon after the recorded one is not told."""


def authenticate(text: str) -> Principal:
    """Raises Unauthenticated, the same whatever was wrong."""
    principal, key = use_cases.authenticate(CredentialRepository(table()), text)
    now = datetime.now(UTC)
    if (key.last_used_at or "") < timestamp(now - USE_NOTED):
        _leave({"keyId": key.key_id, "at": timestamp(now)})
    return principal


def is_locked(address: str) -> bool:
    return AttemptRepository(table()).is_locked(address)


def note_failure(address: str) -> None:
    _leave({"address": address})


def _leave(observation: dict[str, str]) -> None:
    """The authorizer may read the table and nothing else; the service records what it saw."""
    _queue().send_message(
        QueueUrl=os.environ["OBSERVATIONS_URL"], MessageBody=json.dumps(observation)
    )


@cache
def _queue() -> "SQSClient":
    return boto3.client("sqs")
