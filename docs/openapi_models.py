"""JSON schemas of what operations take and answer, under the names of their models."""

import inspect
import re
from collections.abc import Iterable
from typing import Any, get_args, get_origin, get_type_hints

from common.events.schemas import Schema, Untitled
from common.models import Model
from common.operations import Operation
from common.paging import Page
from pydantic import TypeAdapter
from pydantic.alias_generators import to_snake
from pydantic.json_schema import JsonSchemaMode

_REF = "#/components/schemas/"
_NULL = {"type": "null"}


class _Complete(Untitled):
    """An answer has all fields, with defaults or not, but those that say when they are left out."""

    def field_is_required(self, field: Any, total: bool) -> bool:
        if field["type"] == "typed-dict-field":
            return super().field_is_required(field, total)
        return field.get("serialization_exclude_if") is None

    def default_schema(self, schema: Any) -> Schema:
        return self.generate_inner(schema["schema"])


def schemas(operations: Iterable[Operation]) -> dict[str, Schema]:
    """Of all bodies and answers. What clients send has the documented fields and no others; what
    they get may gain some."""
    operations = list(operations)
    listed = {item for each in operations if (item := _listed(each.answers))}
    single = {shown(each.answers) for each in operations if _has_name(shown(each.answers))}
    taken = _definitions({each.takes["body"] for each in operations if "body" in each.takes})
    answered = _definitions(listed | single, "serialization", _Complete)
    answered = {name: _open(each) for name, each in answered.items()}
    twice = [name for name in taken if answered.get(name, taken[name]) != taken[name]]
    assert not twice, f"one name for what is taken and what is answered: {', '.join(twice)}"
    pages = {_page_name(item): _page(item) for item in listed}
    return taken | answered | pages


def answer(kind: Any) -> Schema:
    """The schema of an answer, or where it is."""
    if item := _listed(kind):
        return {"$ref": _REF + _page_name(item)}
    if _has_name(shown(kind)):
        return {"$ref": _REF + shown(kind).__name__}
    if kind is str:
        return {"type": "string"}
    return {"type": "object", "additionalProperties": True}


def body(kind: Any) -> Schema:
    return {"$ref": _REF + kind.__name__}


def parameters(query: type[Model]) -> list[Schema]:
    """Of a query; one that is null is one that is not there."""
    whole = query.model_json_schema(by_alias=True, schema_generator=Untitled)
    named = whole.get("$defs", {})
    return [
        {"name": name, "in": "query", "required": False, **_parameter(part, named)}
        for name, part in whole["properties"].items()
    ]


def shown(kind: Any) -> Any:
    """What clients see of it."""
    if not (inspect.isclass(kind) and issubclass(kind, Model)):
        return kind
    seen = get_type_hints(inspect.getattr_static(kind, "shown").fget)["return"]
    return kind if seen is Model else seen


def _listed(kind: Any) -> Any:
    """What a page has on it."""
    return shown(get_args(kind)[0]) if get_origin(kind) is Page else None


def _has_name(kind: Any) -> bool:
    return inspect.isclass(kind) and get_origin(kind) is None and kind not in (type(None), str)


def _page_name(item: Any) -> str:
    return f"{item.__name__}Page"


def _page(item: Any) -> Schema:
    text = "Asks for the next page; null if there is none"
    token = {"anyOf": [{"type": "string"}, _NULL], "description": text}
    items = {"type": "array", "items": {"$ref": _REF + item.__name__}}
    fields = {"items": items, "nextToken": token}
    return {"type": "object", "properties": fields, "required": list(fields)}


def _definitions(
    kinds: Iterable[Any],
    mode: JsonSchemaMode = "validation",
    generator: type[Untitled] = Untitled,
) -> dict[str, Schema]:
    wanted = [(kind.__name__, mode, TypeAdapter(kind)) for kind in kinds]
    template = _REF + "{model}"
    _, made = TypeAdapter.json_schemas(wanted, ref_template=template, schema_generator=generator)
    return {name: _told(each) for name, each in made.get("$defs", {}).items()}


def _told(schema: Schema) -> Schema:
    """Docstrings are wrapped, and call fields what Python calls them."""
    names = {to_snake(name): name for name in schema.get("properties", ())}
    text = " ".join(schema.get("description", "").split())
    text = re.sub(r"`(\w+)`", lambda found: f"`{names.get(found[1], found[1])}`", text)
    untitled = {name: value for name, value in schema.items() if name != "title"}
    return untitled | ({"description": text} if text else {})


def _open(schema: Schema) -> Schema:
    is_closed = schema.get("additionalProperties") is False
    return {k: v for k, v in schema.items() if not (is_closed and k == "additionalProperties")}


def _parameter(part: Schema, named: dict[str, Schema]) -> Schema:
    part = dict(part)
    told = {"description": part.pop("description")} if "description" in part else {}
    choices = [each for each in part.pop("anyOf", ()) if each != _NULL]
    part |= choices[0] if choices else {}
    if "$ref" in part:
        part |= named[part.pop("$ref").rpartition("/")[2]]
        part.pop("description", None)
    if part.get("default", ...) is None:
        del part["default"]
    return told | {"schema": part}
