"""Collaborations: agents that work on parts of one thing, side by side or one after the other."""

from enum import StrEnum
from typing import Annotated

from chalicelib.tasks.models.tasks import MAX_DESCRIPTION, TaskStatus
from common.errors import Conflict, NotFound
from common.models import Id, Model
from common.quotas import DEFAULT_QUOTAS
from pydantic import Field, model_validator

MAX_PARTICIPANTS = 20
MAX_DESCRIPTIONS = 20_000
MAX_TOLD_CHARS = 20_000
"""Of a result: the participant's task has all of it."""


class Pattern(StrEnum):
    PARALLEL = "parallel"
    SEQUENTIAL = "sequential"


class CollaborationStatus(StrEnum):
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        return self != CollaborationStatus.RUNNING


class Fault(Model):
    """Why something has no result."""

    code: str
    message: str


class Participant(Model):
    """One agent's part, and what became of it. `index` counts from 0."""

    index: int
    agent_id: str
    description: str
    task_id: str
    status: TaskStatus = TaskStatus.PENDING
    result: str | None = Field(default=None, description="Cut if it is long; the task has all")
    result_truncated: bool = False
    error: Fault | None = None
    version: int = Field(default=1, exclude=True)


class Collaboration(Model):
    """`active_tasks` and `tokens_per_day` are the owner's quotas when they asked for it."""

    id: str
    user_id: str
    pattern: Pattern
    status: CollaborationStatus = CollaborationStatus.RUNNING
    size: int = Field(exclude=True)
    error: Fault | None = None
    created_at: str
    completed_at: str | None = None
    version: int = Field(default=1, exclude=True)
    correlation_id: str | None = Field(default=None, exclude=True)
    traceparent: str | None = Field(default=None, exclude=True)
    active_tasks: int = Field(default=DEFAULT_QUOTAS.active_tasks, exclude=True)
    tokens_per_day: int = Field(default=DEFAULT_QUOTAS.tokens_per_day, exclude=True)

    def task_id(self, index: int) -> str:
        """Known before the task is made, so that it is made once."""
        return f"{self.id}-{index + 1:02d}"

    def hands_over_to(self, index: int) -> bool:
        """Whether this participant is told what became of the one before."""
        return self.pattern == Pattern.SEQUENTIAL and 0 < index < self.size


class CollaborationDetails(Collaboration):
    """A collaboration as its owner sees it."""

    participants: list[Participant]


class CollaborationFile(Model):
    """A collaboration with its participants."""

    collaboration: Collaboration
    participants: list[Participant]

    @property
    def agent_ids(self) -> list[str]:
        return [participant.agent_id for participant in self.participants]

    def number_of(self, status: TaskStatus) -> int:
        return sum(participant.status == status for participant in self.participants)

    @property
    def shown(self) -> CollaborationDetails:
        ended = self.collaboration.status.is_terminal
        participants = [_left(each) if ended else each for each in self.participants]
        return CollaborationDetails.model_construct(
            **dict(self.collaboration), participants=participants
        )


def _left(participant: Participant) -> Participant:
    """Who has not ended when the whole has, will not."""
    if participant.status.is_terminal:
        return participant
    return participant.model_copy(update={"status": TaskStatus.CANCELLED})


class ParticipantRequest(Model):
    agent_id: Id
    description: Annotated[str, Field(min_length=1, max_length=MAX_DESCRIPTION, pattern=r"\S")]


class CreateCollaborationRequest(Model):
    pattern: Pattern
    participants: list[ParticipantRequest] = Field(min_length=2, max_length=MAX_PARTICIPANTS)

    @model_validator(mode="after")
    def _not_too_much_in_all(self) -> "CreateCollaborationRequest":
        if sum(len(each.description) for each in self.participants) > MAX_DESCRIPTIONS:
            raise ValueError(f"the descriptions may have {MAX_DESCRIPTIONS} characters in all")
        return self


class CollaborationNotFound(NotFound):
    def __init__(self, collaboration_id: str) -> None:
        text = f"Collaboration {collaboration_id} does not exist"
        super().__init__(text, collaborationId=collaboration_id)


class CollaborationEnded(Conflict):
    def __init__(self, collaboration: Collaboration) -> None:
        status = collaboration.status.value
        super().__init__(f"The collaboration is {status} already", status=status)
