"""The JSON schema of each event: what a reader of that version may rely on."""

import inspect
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from common.events.base import Event

Schema = dict[str, Any]


class Untitled(GenerateJsonSchema):
    """pydantic repeats every field's name as its title."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def schema(event: type[Event]) -> Schema:
    generated = event.model_json_schema(by_alias=True, schema_generator=Untitled)
    generated["properties"]["version"] = {"const": event.schema_version()}
    generated["description"] = sentence(event)
    wire = {"x-source": event.source, "x-detail-type": event.detail_type()}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **wire, **generated}


def sentence(event: type[Event]) -> str:
    """What the event says, in one line."""
    return " ".join(inspect.cleandoc(event.__doc__ or "").split())
