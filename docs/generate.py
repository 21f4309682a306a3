"""Writes what follows from the code: docs/events.md, docs/asyncapi.json and the released schemas
from the event catalogue, docs/permissions.md from what the services' operations require,
docs/schema.graphql from the GraphQL schema, and the OpenAPI document from the operations again.

`python -m docs.generate` writes; with `--check` it only tells whether a committed file differs.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from common.events.asyncapi import document
from common.events.base import Event
from common.events.catalogue import CATALOGUE, Entry
from common.events.schemas import Schema, Untitled, schema

from docs import graphql_schema, openapi, permissions
from docs.compatibility import breaks

ROOT = Path(__file__).parents[1]
EVENTS = ROOT / "docs/events.md"
ASYNCAPI = ROOT / "docs/asyncapi.json"
PERMISSIONS = ROOT / "docs/permissions.md"
GRAPHQL = ROOT / "docs/schema.graphql"
OPENAPI = ROOT / "services/auth/chalicelib/auth/openapi.json"
"""In the package of who serves it; docs/openapi.json is a link to it."""
SCHEMAS = ROOT / "libs/common/schemas"

ENVELOPE = {
    "eventId": "stable over republishing: what is delivered twice has the same one",
    "version": "of the event's schema; rules match it, so that versions can live side by side",
    "timestamp": "RFC 3339, UTC, milliseconds",
    "userId": "the owner of what the event is about",
    "aggregateId": "what the event is about",
    "aggregateVersion": "grows with every change of it: an older one arrived late",
    "correlationId": "the same for everything that followed from one request",
    "causationId": "the event that led to this one",
    "traceparent": "W3C trace context",
    "depth": "how many events led to this one, one after the other; at most 8, or it is a storm",
}
HEAD = """# Events

Generated from `libs/common/common/events` by `make docs`; the schemas are in `libs/common/schemas`.

Every event goes over the platform's one EventBridge bus, at least once and in any order. Its
`detail-type` is the event's name, `detail` carries the fields below. A released version only ever
gains optional fields; anything else becomes the next version, published beside it.
"""


def page() -> str:
    return "\n".join([HEAD, *_overview(), *_envelope(), *(_section(e) for e in CATALOGUE)])


def _overview() -> Iterator[str]:
    yield "| event | source | producer | consumers |\n|---|---|---|---|"
    for entry in CATALOGUE:
        event, consumers = entry.event, ", ".join(entry.consumers)
        link = f"[{_title(event)}](#{_title(event).lower().replace(' ', '-')})"
        yield f"| {link} | `{event.source}` | {', '.join(entry.producers)} | {consumers} |"


def _envelope() -> Iterator[str]:
    yield "\n## Fields of every event\n\n| field | type | |\n|---|---|---|"
    common = Event.model_json_schema(by_alias=True, schema_generator=Untitled)
    for name, part in common["properties"].items():
        kind = _type(part) + ("" if _always(common, name) else ", optional")
        yield f"| `{name}` | {kind} | {ENVELOPE[name]} |"


def _always(common: Schema, name: str) -> bool:
    """Fields that are filled in when nobody gives them are there, too."""
    return name in common["required"] or "anyOf" not in common["properties"][name]


def _section(entry: Entry) -> str:
    current = schema(entry.event)
    own = [
        f"| `{name}` | {_type(part)}{'' if name in current['required'] else ', optional'} |"
        for name, part in current["properties"].items()
        if name not in ENVELOPE
    ]
    return "\n".join(
        [
            f"\n## {_title(entry.event)}\n",
            f"{current['description']}\n",
            f"Source `{entry.event.source}`, published by {' and '.join(entry.producers)}, "
            f"consumed by {', '.join(entry.consumers) or 'nobody'}.\n",
            "| field | type |\n|---|---|",
            *own,
        ]
    )


def _title(event: type[Event]) -> str:
    return f"{event.detail_type()} V{event.schema_version()}"


def _type(part: Schema) -> str:
    if "anyOf" in part:
        return " or ".join(_type(each) for each in part["anyOf"] if each.get("type") != "null")
    if "$ref" in part:
        return str(part["$ref"]).rpartition("/")[2]
    if "const" in part or "enum" in part:
        return ", ".join(f"`{value}`" for value in part.get("enum", [part.get("const")]))
    if part.get("type") == "array":
        return f"array of {_type(part.get('items', {}))}"
    inner = part.get("additionalProperties")
    of = f" of {_type(inner)}" if isinstance(inner, dict) else ""
    return str(part.get("type", "anything")) + of


def generated() -> dict[Path, str]:
    schemas = {path_of(entry.event): schema(entry.event) for entry in CATALOGUE}
    texts = {path: json.dumps(content, indent=2) + "\n" for path, content in schemas.items()}
    pages = {EVENTS: page(), PERMISSIONS: permissions.page(), GRAPHQL: graphql_schema.released()}
    pages |= {ASYNCAPI: json.dumps(document(), indent=1)}
    pages |= {OPENAPI: json.dumps(openapi.document(), indent=1)}
    return {path: text + "\n" for path, text in pages.items()} | texts


def path_of(event: type[Event]) -> Path:
    return SCHEMAS / f"{event.__name__}.json"


def refusals() -> Iterator[str]:
    """What no writing can put right: a released version changed, or has lost its event."""
    for entry in CATALOGUE:
        file = path_of(entry.event)
        why = breaks(json.loads(file.read_text()), schema(entry.event)) if file.exists() else []
        if why:
            following = f"{entry.event.detail_type()}V{entry.event.schema_version() + 1}"
            yield f"{entry.event.__name__} is released ({'; '.join(why)}): make a {following}"
    known = {path_of(entry.event) for entry in CATALOGUE}
    for file in sorted(set(SCHEMAS.glob("*.json")) - known):
        yield f"{file.relative_to(ROOT)} has no event: delete it if nobody consumes that any more"
    if GRAPHQL.exists():
        yield from graphql_schema.breaks(GRAPHQL.read_text())


def main(arguments: list[str]) -> str | None:
    """One line about what is wrong, or nothing."""
    if refused := list(refusals()):
        return " | ".join(refused)
    wanted = generated()
    differing = [path for path, text in wanted.items() if not _is(path, text)]
    if "--check" in arguments:
        names = ", ".join(str(path.relative_to(ROOT)) for path in differing)
        return f"out of date, run `make docs`: {names}" if differing else None
    for path in differing:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted[path])
    return None


def _is(path: Path, text: str) -> bool:
    return path.exists() and path.read_text() == text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
