"""The catalogue as an AsyncAPI 3 document: one channel, the bus, with every event on it."""

from collections.abc import Iterator, Sequence
from typing import Any

from common.events.catalogue import CATALOGUE, Entry
from common.events.schemas import Schema, schema, sentence

DESCRIPTION = (
    "Every event goes over one EventBridge bus, at least once and in any order. A released "
    "version only ever gains optional fields; anything else becomes the next version, beside it."
)


def document(catalogue: Sequence[Entry] = CATALOGUE) -> dict[str, Any]:
    names = [_name(entry) for entry in catalogue]
    return {
        "asyncapi": "3.1.0",
        "info": {
            "title": "Realtime Agentic API: events",
            "version": "1.0.0",
            "description": DESCRIPTION,
        },
        "defaultContentType": "application/json",
        "channels": {
            "bus": {
                "address": "agentic-{stage}-bus",
                "parameters": {"stage": {"description": "The deployment, for example production"}},
                "messages": {name: _ref("components", "messages", name) for name in names},
            }
        },
        "operations": dict(operation for entry in catalogue for operation in _operations(entry)),
        "components": {
            "messages": {_name(entry): _message(entry) for entry in catalogue},
            "schemas": dict(each for entry in catalogue for each in _schemas(entry)),
        },
    }


def _name(entry: Entry) -> str:
    return entry.event.__name__


def _ref(*path: str) -> dict[str, str]:
    return {"$ref": "#/" + "/".join(path)}


def _operations(entry: Entry) -> Iterator[tuple[str, Schema]]:
    """Who sends it and who receives it."""
    name = _name(entry)
    for action, services in (("send", entry.producers), ("receive", entry.consumers)):
        for service in services:
            yield (
                f"{service}.{action}.{name}",
                {
                    "action": action,
                    "channel": _ref("channels", "bus"),
                    "messages": [_ref("channels", "bus", "messages", name)],
                    "tags": [{"name": service}],
                },
            )


def _message(entry: Entry) -> Schema:
    """The payload is `detail`; the headers are the fields of EventBridge beside it."""
    event = entry.event
    headers = {"source": {"const": event.source}, "detail-type": {"const": event.detail_type()}}
    return {
        "name": event.detail_type(),
        "title": f"{event.detail_type()} V{event.schema_version()}",
        "summary": sentence(event),
        "contentType": "application/json",
        "headers": {"type": "object", "properties": headers, "required": sorted(headers)},
        "payload": _ref("components", "schemas", _name(entry)),
        "x-eventbridge-pattern": event.pattern(),
    }


def _schemas(entry: Entry) -> Iterator[tuple[str, Schema]]:
    """The event's own, and what it refers to under names that start with the event's: another
    version may mean something else by the same word."""
    name, generated = _name(entry), schema(entry.event)
    for part, definition in generated.get("$defs", {}).items():
        yield f"{name}.{part}", _referring_to_components(definition, name)
    own = {key: value for key, value in generated.items() if not key.startswith(("$", "x-"))}
    yield name, _referring_to_components(own, name)


def _referring_to_components(part: Any, event: str) -> Any:
    if isinstance(part, list):
        return [_referring_to_components(each, event) for each in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        return _ref("components", "schemas", f"{event}.{part['$ref'].rpartition('/')[2]}")
    return {key: _referring_to_components(value, event) for key, value in part.items()}
