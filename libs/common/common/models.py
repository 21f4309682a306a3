"""The one base of every value that crosses a boundary."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, StringConstraints
from pydantic.alias_generators import to_camel

ID = r"[A-Za-z0-9_-]{1,64}"
Id = Annotated[str, StringConstraints(pattern=f"^{ID}$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"\S")]


class Model(BaseModel):
    """Frozen; snake_case in Python, camelCase on every wire; unknown fields are refused."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        allow_inf_nan=False,
    )

    @classmethod
    def from_client(cls, body: str | bytes) -> Self:
        """JSON as documented and no other way: no text for a number, no names but those of the
        wire. Raises pydantic's ValidationError."""
        return cls.model_validate_json(body, strict=True, by_alias=True, by_name=False)

    @property
    def shown(self) -> "Model":
        """What clients see of it: a subclass may show something else than itself."""
        return self

    def wire(self) -> dict[str, object]:
        """The JSON-ready form that clients and other services see."""
        return self.shown.model_dump(mode="json", by_alias=True)
