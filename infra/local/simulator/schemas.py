"""The smallest value that a JSON schema accepts."""

from typing import Any

from .exchange import Json

_FORMATS = {
    "date-time": "2024-01-01T00:00:00Z",
    "date": "2024-01-01",
    "time": "00:00:00Z",
    "email": "someone@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
_DEPTH = 16


def minimal(schema: Json, root: Json | None = None, depth: int = 0) -> Any:
    """Required properties only. Patterns are not honoured; recursion stops at a fixed depth."""
    root = schema if root is None else root
    if depth > _DEPTH:
        return None
    for word in ("const", "default"):
        if word in schema:
            return schema[word]
    if schema.get("enum"):
        return schema["enum"][0]
    if isinstance(schema.get("$ref"), str):
        return minimal(_resolve(schema["$ref"], root), root, depth + 1)
    for word in ("anyOf", "oneOf", "allOf"):
        if schema.get(word):
            return minimal(schema[word][0], root, depth + 1)
    return _typed(kind(schema), schema, root, depth)


def kind(schema: Json) -> str:
    declared = schema.get("type")
    if isinstance(declared, list):
        declared = declared[0] if declared else None
    if isinstance(declared, str):
        return declared
    return "object" if "properties" in schema else "string"


def _typed(kind: str, schema: Json, root: Json, depth: int) -> Any:
    if kind == "object":
        properties = schema.get("properties", {})
        return {
            name: minimal(properties.get(name, {}), root, depth + 1)
            for name in schema.get("required", ())
        }
    if kind == "array":
        count = schema.get("minItems", 0)
        return [minimal(schema.get("items", {}), root, depth + 1) for _ in range(count)]
    if kind in ("integer", "number"):
        return _number(kind, schema)
    return {"boolean": False, "null": None}[kind] if kind in ("boolean", "null") else _text(schema)


def _number(kind: str, schema: Json) -> Any:
    step = schema.get("multipleOf", 1)
    if "minimum" in schema:
        lowest = schema["minimum"]
        return lowest if lowest % step == 0 or kind == "number" else lowest + step - lowest % step
    if "exclusiveMinimum" not in schema:
        return min(0, schema.get("maximum", 0), schema.get("exclusiveMaximum", step) - step)
    floor = schema["exclusiveMinimum"]
    ceiling = schema.get("maximum", schema.get("exclusiveMaximum", floor + 2 * step))
    return floor + step if kind == "integer" else (floor + ceiling) / 2


def _text(schema: Json) -> str:
    text = _FORMATS.get(schema.get("format", ""), "text")
    text = text.ljust(schema.get("minLength", 0), "x")
    return text[: schema.get("maxLength")]


def _resolve(reference: str, root: Json) -> Json:
    found: Any = root
    for part in reference.removeprefix("#/").split("/"):
        found = found.get(part, {}) if isinstance(found, dict) else {}
    return found if isinstance(found, dict) else {}
