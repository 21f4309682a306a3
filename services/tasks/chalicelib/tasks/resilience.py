"""Around every call of a model: retries, the circuit breaker, and the time that is left."""

import asyncio
import logging
import random
from email.utils import parsedate_to_datetime
from typing import Any

from chalicelib.tasks import providers
from chalicelib.tasks.breaker import Breaker
from chalicelib.tasks.models.failures import AgentFailed, OutOfTime
from chalicelib.tasks.work import Deadline
from common.clock import seconds_until
from strands.hooks import AfterModelCallEvent, BeforeModelCallEvent, HookProvider, HookRegistry

MAX_RETRIES = 3
FIRST_DELAY_SECONDS = 0.1
LONGEST_DELAY_SECONDS = 10.0
CALL_SECONDS = providers.TIMEOUT_SECONDS + 15
"""What a model's turn may take, and what is written after it."""
log = logging.getLogger(__name__)


class Retries(HookProvider):
    """One call and at most three retries, in this layer alone: the SDKs' own are off."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self._retried = 0

    def register_hooks(self, registry: HookRegistry, **_: Any) -> None:
        registry.add_callback(AfterModelCallEvent, self._after_call)

    async def _after_call(self, event: AfterModelCallEvent) -> None:
        error = event.exception
        if error is None:
            self._retried = 0
            return
        if self._retried >= MAX_RETRIES or not providers.is_retryable(error):
            return
        delay = delay_seconds(self._retried, retry_after(error))
        if delay + CALL_SECONDS > self._deadline():
            return
        self._retried += 1
        log.warning(
            "model call failed, trying again",
            extra={"retry": self._retried, "delaySeconds": delay, "reason": type(error).__name__},
        )
        await asyncio.sleep(delay)
        event.retry = True


def delay_seconds(retried: int, asked: float | None) -> float:
    """Full jitter under an exponential bound; not sooner than the provider asks for, if that is
    not longer than we wait for anything."""
    delay = random.uniform(0, min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2 ** (retried + 1)))
    return max(delay, min(asked or 0, LONGEST_DELAY_SECONDS))


def retry_after(error: BaseException) -> float | None:
    """What the provider's answer says, in seconds or as a date."""
    response = getattr(error, "response", None) or getattr(error.__cause__, "response", None)
    said = response.headers.get("retry-after") if response is not None else None
    if not said:
        return None
    try:
        return float(said)
    except ValueError:
        return _until(said)


def _until(date: str) -> float | None:
    try:
        return seconds_until(parsedate_to_datetime(date))
    except (TypeError, ValueError):
        return None


class Guard(HookProvider):
    """Before a call there must be time for it, and the provider must not be known to be down."""

    def __init__(self, breaker: Breaker, deadline: Deadline) -> None:
        self._breaker = breaker
        self._deadline = deadline

    def register_hooks(self, registry: HookRegistry, **_: Any) -> None:
        registry.add_callback(BeforeModelCallEvent, self._before_call)
        registry.add_callback(AfterModelCallEvent, self._after_call)

    def _before_call(self, event: BeforeModelCallEvent) -> None:
        if self._deadline() < CALL_SECONDS:
            raise OutOfTime
        if not self._breaker.allows():
            raise AgentFailed("LLM_UNAVAILABLE", "The model provider is out of order")

    def _after_call(self, event: AfterModelCallEvent) -> None:
        if event.exception is None or not _is_ours(event.exception):
            failed = event.exception is not None and providers.is_retryable(event.exception)
            self._breaker.record(failed)


def _is_ours(error: Exception) -> bool:
    """Raised before the provider was asked."""
    return isinstance(error, AgentFailed | OutOfTime)
