"""Secrets from Secrets Manager, read at run time and kept for five minutes at most."""

import logging
import time
from functools import cache
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

log = logging.getLogger(__name__)

_KEEP_SECONDS = 300
SHORTEST_KEY = 32
_kept: dict[str, tuple[float, str]] = {}


@cache
def _client() -> "SecretsManagerClient":
    return boto3.client("secretsmanager")


def signing_secret(name: str) -> bytes:
    """One that something is signed with. Raises ValueError for one that could be guessed."""
    value = secret(name)
    if len(value) < SHORTEST_KEY:
        raise ValueError(f"{name} is too short to sign with")
    return value.encode()


def secret(name: str) -> str:
    """A value that cannot be read again is used for longer."""
    read_at, value = _kept.get(name, (0.0, ""))
    if time.monotonic() - read_at > _KEEP_SECONDS or not value:
        try:
            value = _client().get_secret_value(SecretId=name)["SecretString"]
        except (BotoCoreError, ClientError):
            if not value:
                raise
            log.exception("a secret was not read again", extra={"secret": name})
        _kept[name] = (time.monotonic(), value)
    return value
