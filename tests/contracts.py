"""What each service reads of the events it listens to, written down as pacts.

Nobody keeps this by hand: a service's real consumers are given an event that notes which of its
fields they look at. `python -m tests.contracts` writes contracts/<consumer>-<producer>.json.
"""

import json
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from common.events.base import Event
from common.events.catalogue import CATALOGUE, Entry
from pact import Pact, match
from pydantic import BaseModel

from tests.histories import AGENT
from tests.service import ROOT, Service, running

CONTRACTS = ROOT / "contracts"
ALWAYS = ("event_id", "version", "user_id", "aggregate_id", "aggregate_version")
"""Who takes an event once, in any order, and for its owner, reads these."""

OF_WHAT_IS_THERE = {
    ("events", "ScheduleChanged"),
    ("tasks", "TaskRetried"),
    ("tasks", "AgentMessageSent"),
    ("tasks", "CollaborationStarted"),
    ("tasks", "CollaborationCancelled"),
}
"""Services tell themselves what to do with something that they have stored, which the example is
not: they read who and what, and fail."""

os.environ["PACT_DO_NOT_TRACK"] = "true"


KNOWN = {
    "agent_id": AGENT,
    "timestamp": "2030-01-01T00:00:00.000Z",
    "task_type": "agent_task",
    "state": "enabled",
    "on_overlap": "skip",
    "configuration": {"llmProvider": "openai", "model": "simulated", "tools": []},
}


def example(event: type[Event]) -> Event:
    """With every field, and a value of its type."""
    found = _made(event)
    return event(**found | {"version": event.schema_version(), "depth": 1})


def _made(model: type[BaseModel]) -> dict[str, Any]:
    fields = model.model_fields.items()
    return {name: KNOWN.get(name) or _value(name, field.annotation) for name, field in fields}


def _value(name: str, annotation: Any) -> Any:
    """The simplest of its type that is not nothing."""
    simple = {str: name, int: 1, float: 0.5, bool: True}
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is not None:
        return _composed(name, origin, inner)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation(**_made(annotation))
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return next(iter(annotation))
    return simple.get(annotation, {})


def _composed(name: str, origin: Any, inner: tuple[Any, ...]) -> Any:
    if origin is Literal:
        return inner[0]
    if origin in (list, tuple):
        return [_value(name, inner[0])]
    if origin is dict:
        return {"taskId": _value(name, inner[1])}
    return _value(name, inner[0])


@contextmanager
def noting(event: type[Event], seen: set[str]) -> Iterator[None]:
    """Meanwhile, what is looked at of such events is remembered."""

    def look(self: Any, name: str) -> Any:
        if name in event.model_fields:
            seen.add(name)
        return object.__getattribute__(self, name)

    event.__getattribute__ = look  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        del event.__getattribute__


def read_by(service: Service, name: str, event: type[Event]) -> set[str]:
    """The fields that the service of this name looks at when it hears of the event."""
    functions = service.module.consumers.functions  # type: ignore[attr-defined]
    original, seen = functions[event], set[str]()

    def listen(fact: Event) -> None:
        with noting(event, seen):
            if afterwards := original(fact):
                afterwards()

    functions[event] = listen
    try:
        failed = service.consume(example(event))
    finally:
        functions[event] = original
    missing = (name, event.detail_type()) in OF_WHAT_IS_THERE
    assert bool(failed) == missing, f"{name} fails at {event.__name__}: its reads are not known"
    return seen | set(ALWAYS)


def name_of(event: type[Event]) -> str:
    return f"{event.detail_type()} V{event.schema_version()}"


def message(event: type[Event], fields: set[str], value: Any = lambda found: found) -> Any:
    """As it is on the bus, with no other fields than these."""
    wire, aliases = example(event).wire(), {n: f.alias for n, f in event.model_fields.items()}
    detail = {str(aliases[name]): wire[str(aliases[name])] for name in sorted(fields)}
    shown = {name: value(found) for name, found in detail.items() if found is not None}
    shown["version"] = event.schema_version()
    return {"source": event.source, "detail-type": event.detail_type(), "detail": shown}


def write(folder: Path, service: str) -> None:
    """The contracts of one consumer, one with each producer."""
    with running(service) as consumer:
        for producer, entries in _by_producer(service):
            pact = Pact(service, producer).with_specification("V4")
            for entry in entries:
                body = message(entry.event, read_by(consumer, service, entry.event), match.type)
                told = pact.upon_receiving(name_of(entry.event), "Async")
                told.with_body(body, content_type="application/json")
            pact.write_file(folder, overwrite=True)


def _by_producer(service: str) -> Iterator[tuple[str, list[Entry]]]:
    heard = [entry for entry in CATALOGUE if service in entry.consumers]
    for producer in sorted({entry.producer for entry in heard}):
        yield producer, [entry for entry in heard if entry.producer == producer]


def consumers() -> list[str]:
    return sorted({name for entry in CATALOGUE for name in entry.consumers})


def interactions(file: Path) -> Any:
    """What a contract says, without who wrote it when."""
    return json.loads(file.read_text())["interactions"]


@contextmanager
def written(service: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), service)
        yield Path(folder)


def main() -> None:
    """With nobody's credentials: whatever the services ask of AWS stays here."""
    os.environ |= dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "testing")
    os.environ["AWS_DEFAULT_REGION"] = "us-east-1"
    sys.path += [str(folder) for folder in ROOT.glob("services/*")]
    logging.disable(logging.CRITICAL)
    CONTRACTS.mkdir(exist_ok=True)
    for file in CONTRACTS.glob("*.json"):
        if file.stem.partition("-")[0] in consumers():
            file.unlink()
    for service in consumers():
        write(CONTRACTS, service)


if __name__ == "__main__":
    sys.exit(main())
