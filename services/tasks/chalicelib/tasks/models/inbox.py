"""Messages between the agents of one owner."""

from typing import Annotated

from common.errors import Invalid
from common.models import Id, Model
from pydantic import Field

MAX_CONTENT = 10_000
MAX_MESSAGES_OF_A_TASK = 20
MAX_CHARS_OF_A_TASK = 20_000


class AgentMessage(Model):
    """`task_id` is the one task that is to see it, else it is the agent's next one; `read_by` is
    the task that did."""

    id: str
    from_agent_id: str
    to_agent_id: str
    content: str
    sent_at: str
    collaboration_id: str | None = None
    task_id: str | None = Field(default=None, exclude=True)
    read_by: str | None = None


class TellAgentRequest(Model):
    to_agent_id: Id
    content: Annotated[str, Field(min_length=1, max_length=MAX_CONTENT, pattern=r"\S")]


class ToItself(Invalid):
    def __init__(self) -> None:
        super().__init__("An agent sends no messages to itself", field="toAgentId")
