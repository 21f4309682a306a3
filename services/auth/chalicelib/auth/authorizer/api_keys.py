"""API keys: looked up in the table, which takes the AWS SDK; imported when the first one comes."""

import json
import os
import time
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

USE_NOTED_SECONDS = 60
_noted: dict[str, float] = {}


def authenticate(text: str) -> Principal:
    """Raises Unauthenticated, the same whatever was wrong."""
    principal = use_cases.authenticate(CredentialRepository(table()), text)
    _note_use(principal.credential_id)
    return principal


def is_locked(address: str) -> bool:
    return AttemptRepository(table()).is_locked(address)


def note_failure(address: str) -> None:
    _leave({"address": address})


def _note_use(key_id: str) -> None:
    now = time.monotonic()
    if now - _noted.get(key_id, -USE_NOTED_SECONDS) >= USE_NOTED_SECONDS:
        _leave({"keyId": key_id, "at": timestamp()})
        _noted[key_id] = now


def _leave(observation: dict[str, str]) -> None:
    """The authorizer may read the table and nothing else; the service records what it saw."""
    _queue().send_message(
        QueueUrl=os.environ["OBSERVATIONS_URL"], MessageBody=json.dumps(observation)
    )


@cache
def _queue() -> "SQSClient":
    return boto3.client("sqs")
