"""What an invocation did and what that followed from, as OpenTelemetry spans: one line of OTLP JSON
in the function's log, from where a collector takes it. No client, no call, nothing to import."""

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from common.traceparents import Place

SPANS_PER_LINE = 200
Value = str | int | float | bool
_current: ContextVar[Place | None] = ContextVar("current_place", default=None)
_invocation: ContextVar["_Invocation | None"] = ContextVar("invocation", default=None)


class Kind(IntEnum):
    """As OTLP numbers them."""

    INTERNAL = 1
    SERVER = 2
    CLIENT = 3
    PRODUCER = 4
    CONSUMER = 5


@dataclass
class Span:
    name: str
    kind: Kind
    place: Place
    parent_id: str | None
    attributes: dict[str, Value]
    started: int
    ended: int = 0
    error: str | None = None

    def end(self, error: BaseException | None = None) -> None:
        """Of an error only its type is told: what it says may be somebody's."""
        self.ended = time.time_ns()
        if error is not None:
            self.error = type(error).__name__
        invocation = _invocation.get()
        if invocation and self.place.is_sampled:
            invocation.finished.append(self)

    def otlp(self) -> dict[str, object]:
        told = self.attributes | ({"error.type": self.error} if self.error else {})
        parent = {"parentSpanId": self.parent_id} if self.parent_id else {}
        return parent | {
            "traceId": self.place.trace_id,
            "spanId": self.place.span_id,
            "name": self.name,
            "kind": int(self.kind),
            "startTimeUnixNano": str(self.started),
            "endTimeUnixNano": str(self.ended),
            "attributes": _attributes(told),
            "status": {"code": 2} if self.error else {},
        }


class _Invocation:
    def __init__(self, name: str, attributes: Mapping[str, Value]) -> None:
        self.name = name
        self.attributes = attributes
        self.started = time.time_ns()
        self.finished: list[Span] = []
        self.span: Span | None = None


def traceparent() -> str | None:
    """Of the span that is under way: what is begun elsewhere because of it goes on from there."""
    place = _current.get()
    return place.traceparent if place else None


def ids() -> dict[str, str]:
    """For log lines."""
    place = _current.get()
    return {"traceId": place.trace_id, "spanId": place.span_id} if place else {}


def begin(
    name: str,
    kind: Kind = Kind.INTERNAL,
    attributes: Mapping[str, Value] | None = None,
    started: int | None = None,
) -> Span:
    """A span within the one that is under way, or the first of a trace; to be ended by hand."""
    within = _current.get()
    place = within.below() if within else Place.of_new_trace()
    parent_id = within.span_id if within else None
    return Span(name, kind, place, parent_id, dict(attributes or {}), started or time.time_ns())


@contextmanager
def span(
    name: str, kind: Kind = Kind.INTERNAL, attributes: Mapping[str, Value] | None = None
) -> Iterator[Span]:
    begun = begin(name, kind, attributes)
    before = _current.set(begun.place)
    try:
        yield begun
    except BaseException as error:
        begun.end(error)
        raise
    else:
        begun.end()
    finally:
        _current.reset(before)


@contextmanager
def continued(parent: str | None) -> Iterator[None]:
    """What is begun within goes on with the trace of a traceparent, or with one of its own."""
    before = _current.set(Place.parse(parent))
    try:
        yield
    finally:
        _current.reset(before)


def follow(parent: str | None, attributes: Mapping[str, Value] | None = None) -> None:
    """Everything that the invocation does from here on belongs to this trace. The first trace that
    it follows gets a span for the whole of it; who follows none, as a timer's, has nothing to tell.
    """
    place, now, invocation = Place.parse(parent), _current.get(), _invocation.get()
    if place is None or (now and now.trace_id == place.trace_id):
        return
    _current.set(place)
    if invocation and not invocation.span:
        about, started = {**invocation.attributes, **(attributes or {})}, invocation.started
        invocation.span = begin(invocation.name, Kind.SERVER, about, started)
        _current.set(invocation.span.place)


@contextmanager
def invocation(name: str, attributes: Mapping[str, Value] | None = None) -> Iterator[None]:
    """Tells at its end what happened within. Where it was stays known for the line that is logged
    afterwards; the next invocation begins anew."""
    running = _Invocation(name, attributes or {})
    _invocation.set(running)
    _current.set(None)
    try:
        yield
    except BaseException as error:
        if running.span:
            running.span.end(error)
        raise
    else:
        if running.span:
            running.span.end()
    finally:
        _invocation.set(None)
        _tell(running.finished)


def _tell(spans: list[Span]) -> None:
    resource = {"service.name": os.environ.get("SERVICE", "unknown")}
    if function := os.environ.get("AWS_LAMBDA_FUNCTION_NAME"):
        resource |= {"cloud.provider": "aws", "faas.name": function}
    for first in range(0, len(spans), SPANS_PER_LINE):
        some = [each.otlp() for each in spans[first : first + SPANS_PER_LINE]]
        scoped = {"scope": {"name": "agentic"}, "spans": some}
        line = {"resource": {"attributes": _attributes(resource)}, "scopeSpans": [scoped]}
        sys.stdout.write(json.dumps({"resourceSpans": [line]}) + "\n")
    sys.stdout.flush()


def _attributes(values: Mapping[str, Value]) -> list[dict[str, object]]:
    return [{"key": key, "value": _value(value)} for key, value in values.items()]


def _value(value: Value) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"doubleValue": value} if isinstance(value, float) else {"stringValue": value}
