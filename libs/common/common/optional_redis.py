"""Redis as something to do without: while it is down, whoever asks it gets no answer, soon."""

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Self, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from common.secrets import secret

if TYPE_CHECKING:
    from redis import Redis
    from redis.credentials import CredentialProvider

_PATIENCE_SECONDS = 0.05
_LEFT_ALONE_SECONDS = 1.0
T = TypeVar("T")
log = logging.getLogger(__name__)


class OptionalRedis:
    """After a failure it is left alone for a second, so that an outage costs one wait, not one
    for every request."""

    def __init__(self, client: "Redis") -> None:
        self._client = client
        self._ask_again_at = 0.0
        self._is_down = False

    @classmethod
    def at(
        cls, url: str, patience: float = _PATIENCE_SECONDS, secret_name: str | None = None
    ) -> Self:
        """The secret is the password, if there is one: it is asked for when connecting.

        Imported here because it costs more than 60 ms, which functions that never ask save.

        Without the library's retries, which wait for seconds, and in the protocol that needs no
        handshake: connecting must fit into the patience too.
        """
        from redis import Redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        timeouts = {"socket_connect_timeout": patience, "socket_timeout": patience}
        credentials = {"credential_provider": _password(secret_name)} if secret_name else {}
        options = {**timeouts, **credentials}
        return cls(Redis.from_url(url, protocol=2, retry=Retry(NoBackoff(), 0), **options))

    def ask(self, question: Callable[["Redis"], T], insist: bool = False) -> T | None:
        """The answer, or None if there is none to be had now. Who insists asks again at once what
        was left alone."""
        from redis.exceptions import RedisError

        gone_or_no_redis_at_all = (RedisError, OSError, ValueError)
        if time.monotonic() < self._ask_again_at and not insist:
            return None
        try:
            answer = question(self._client)
        except gone_or_no_redis_at_all as error:
            self._leave_alone(error)
            return None
        self._is_down = False
        return answer

    def _leave_alone(self, error: Exception) -> None:
        self._ask_again_at = time.monotonic() + _LEFT_ALONE_SECONDS
        if not self._is_down:
            log.warning("Redis is down", extra={"reason": f"{type(error).__name__}: {error}"})
        self._is_down = True


def _password(secret_name: str) -> "CredentialProvider":
    from redis.credentials import CredentialProvider

    class Password(CredentialProvider):
        def get_credentials(self) -> tuple[str]:
            try:
                return (secret(secret_name),)
            except (BotoCoreError, ClientError) as error:
                raise ConnectionError(f"no password for Redis: {error}") from error

    return Password()
