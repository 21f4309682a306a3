"""Query parameters as typed values. They come as text, of which one form is read."""

import re
from typing import Annotated

from pydantic import BeforeValidator, Field

from common.models import Model


def _number(text: object) -> object:
    """No sign, space or underscore, which Python would read as well."""
    if isinstance(text, str) and not re.fullmatch(r"[0-9]{1,12}", text):
        raise ValueError("must be a number in digits")
    return text


def _flag(text: object) -> object:
    if isinstance(text, str) and text not in ("true", "false"):
        raise ValueError("must be true or false")
    return text


DIGITS = BeforeValidator(_number)
Flag = Annotated[bool, BeforeValidator(_flag)]


class NoParameters(Model):
    """The query of an operation that has none."""


class Reading(Model):
    """Of one thing: whatever is cached of it, or what is in the table."""

    consistent: Flag = Field(default=False, description="Whether to look past what is cached")


class Paging(Model):
    """Which page of a list. A subclass has, beside this, what narrows the list down."""

    limit: Annotated[int, Field(ge=1, le=100), DIGITS] = 20
    next_token: str | None = Field(default=None, description="Of the page before")

    @property
    def narrowed(self) -> str:
        """What the pages are of, whichever this is."""
        return self.model_dump_json(exclude={"limit", "next_token"})
