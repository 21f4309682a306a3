"""Rows as Python sees them, and items as DynamoDB does."""

from collections.abc import Mapping
from typing import Any

Row = dict[str, Any]
"""Attribute name → str, int, bool or None. Free-form JSON is kept as text: it survives exactly."""


def to_item(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _attribute(value) for name, value in row.items() if value is not None}


def _attribute(value: object) -> dict[str, object]:
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int):
        return {"N": str(value)}
    if isinstance(value, str):
        return {"S": value}
    raise TypeError(f"a row holds str, int, bool or None, not {type(value).__name__}")


def to_row(item: Mapping[str, Mapping[str, Any]]) -> Row:
    return {name: _value(attribute) for name, attribute in item.items()}


def _value(attribute: Mapping[str, Any]) -> str | int | bool:
    ((kind, value),) = attribute.items()
    return int(value) if kind == "N" else value
