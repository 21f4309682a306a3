"""Whether what one schema allows to be written can be read by who relies on another.

Of JSON Schema as far as pydantic writes it: objects, arrays, values, alternatives and bounds.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

Schema = dict[str, Any]

_AT_LEAST = ("minimum", "exclusiveMinimum", "minLength", "minItems")
_AT_MOST = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
_EXACT = ("pattern", "format")
_WORDS = ("title", "description", "default", "examples")


def breaks(released: Schema, current: Schema) -> list[str]:
    """Why `current` can't go by the name of `released`. Both directions matter: who reads the
    released version meets events of the current one, and who reads the current one meets events of
    the released one, from a producer that is not deployed yet or from the archive."""
    return [
        *(
            f"{key} is another"
            for key in ("x-source", "x-detail-type")
            if _differ(released, current, key)
        ),
        *(
            f"{name} is missing"
            for name in released["properties"]
            if name not in current["properties"]
        ),
        *(f"a reader of the released version: {why}" for why in accepts(released, current)),
        *(f"a reader of this version: {why}" for why in accepts(current, released)),
    ]


def _differ(old: Schema, new: Schema, key: str) -> bool:
    return bool(old[key] != new[key])


def accepts(reader: Schema, writer: Schema) -> list[str]:
    """What the writer may send and the reader can't read; nothing if it reads everything."""
    return list(_Comparison(reader, writer).of(reader, writer, ""))


class _Comparison(NamedTuple):
    """Of two schemas, each with definitions of its own."""

    reader: Schema
    writer: Schema

    def of(self, reader: Schema, writer: Schema, at: str) -> Iterator[str]:
        reader, writer = _resolved(reader, self.reader), _resolved(writer, self.writer)
        if not reader.keys() - set(_WORDS):
            return
        if "anyOf" in writer:
            for alternative in writer["anyOf"]:
                yield from self.of(reader, alternative, at)
        elif "anyOf" in reader:
            tried = [list(self.of(each, writer, at)) for each in reader["anyOf"]]
            if all(tried):
                yield f"{_at(at)} may be {writer.get('type', 'anything')}, which it does not know"
        else:
            yield from self._plain(reader, writer, at)

    def _plain(self, reader: Schema, writer: Schema, at: str) -> Iterator[str]:
        known, sent = _values(reader), _values(writer)
        if known is not None:
            more = ["others"] if sent is None else [each for each in sent if each not in known]
            if more:
                yield f"{_at(at)} may be {', '.join(map(str, more))}, which it does not know"
        elif not _is_a(reader.get("type"), writer, sent):
            yield f"{_at(at)} is {writer.get('type', 'anything')} and not {reader.get('type')}"
        else:
            yield from _bounds(reader, writer, at)
            yield from self._members(reader, writer, at)

    def _members(self, reader: Schema, writer: Schema, at: str) -> Iterator[str]:
        needed, given = reader.get("required", ()), writer.get("required", ())
        for name in needed:
            if name not in given:
                yield f"{_at(f'{at}.{name}')} may be left out, which it needs"
        for name, part in writer.get("properties", {}).items():
            if name in reader.get("properties", {}):
                yield from self.of(reader["properties"][name], part, f"{at}.{name}")
        for inner, mark in (("items", "[]"), ("additionalProperties", ".*")):
            if isinstance(reader.get(inner), dict):
                other = writer.get(inner, {})
                yield from self.of(
                    reader[inner], other if isinstance(other, dict) else {}, at + mark
                )


def _resolved(schema: Schema, root: Schema) -> Schema:
    while "$ref" in schema:
        target = root["$defs"][schema["$ref"].rpartition("/")[2]]
        schema = {**target, **{name: part for name, part in schema.items() if name != "$ref"}}
    return schema


def _values(schema: Schema) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    return schema.get("enum")


def _is_a(wanted: str | None, writer: Schema, sent: list[Any] | None) -> bool:
    kind = writer.get("type")
    if kind is None and sent is not None:
        kind = {str: "string", int: "integer", bool: "boolean"}.get(type(sent[0]))
    return wanted in (None, kind) or (wanted, kind) == ("number", "integer")


def _bounds(reader: Schema, writer: Schema, at: str) -> Iterator[str]:
    for name in _AT_LEAST:
        if name in reader and writer.get(name, float("-inf")) < reader[name]:
            yield f"{_at(at)} may be below its {name}"
    for name in _AT_MOST:
        if name in reader and writer.get(name, float("inf")) > reader[name]:
            yield f"{_at(at)} may be above its {name}"
    for name in _EXACT:
        if name in reader and writer.get(name) != reader[name]:
            yield f"{_at(at)} may be of another {name}"


def _at(path: str) -> str:
    return path.lstrip(".") or "it"
