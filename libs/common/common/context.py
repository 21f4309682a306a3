"""What an invocation carries along without every function passing it on."""

from contextvars import ContextVar

correlation_id: ContextVar[str | None] = ContextVar("correlation_id", default=None)
"""One id for everything that follows from a client's request; it travels in every event."""
