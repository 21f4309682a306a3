"""What became of a request that was handed to the service that owns what it is about."""

from typing import Any

from common.errors import AppError, Unavailable
from common.models import Model
from pydantic import Field


class Outcome(Model):
    """The id of what it is about, once the effect can be read; or why nothing was done."""

    object_id: str | None = None
    code: str | None = None
    message: str = ""
    details: dict[str, Any] = Field(default_factory=dict)


class Rejected(AppError):
    """In the owner's words."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.message, **outcome.details)
        self._code = outcome.code or "Conflict"

    @property
    def code(self) -> str:
        return self._code


class StillInProgress(Unavailable):
    """It was accepted, and will be carried out or refused: asked for again with the same
    clientMutationId, it is not done twice."""
