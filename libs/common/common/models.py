"""The one base of every value that crosses a boundary."""

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Model(BaseModel):
    """Frozen; snake_case in Python, camelCase on every wire; unknown fields are refused."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        allow_inf_nan=False,
    )

    def wire(self) -> dict[str, object]:
        """The JSON-ready form that clients and other services see."""
        return self.model_dump(mode="json", by_alias=True)
