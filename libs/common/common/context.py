"""What an invocation carries along without every function passing it on."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from common.events.base import Event

correlation_id: ContextVar[str | None] = ContextVar("correlation_id", default=None)
"""One id for everything that follows from a client's request; it travels in every event."""

cause: ContextVar["Event | None"] = ContextVar("cause", default=None)
"""The request that is being carried out: what is written meanwhile follows from it."""


@contextmanager
def uncaused() -> Iterator[None]:
    """For what would have been written in any case, and is no part of what was asked for."""
    before = cause.set(None)
    try:
        yield
    finally:
        cause.reset(before)
