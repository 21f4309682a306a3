"""Conversations: sessions, and the messages in them, each a user's words and the agent's answer."""

import re
import time
from enum import StrEnum
from typing import Any, Literal

from common.errors import NotFound, TooManyRequests
from common.models import Id, Model
from common.quotas import DEFAULT_QUOTAS
from pydantic import Field

MAX_CONTENT = 20_000
MAX_ANSWER = 80_000
"""In one row: DynamoDB's limit is 400 KB, and a character has up to four bytes."""
MAX_PENDING = 10
_MESSAGE_ID = re.compile(r"(?P<key>[0-9a-f]{32})-(?P<number>[1-9][0-9]{0,7})")


class MessageStatus(StrEnum):
    PENDING = "pending"
    COMPLETED = "completed"
    FAILED = "failed"


class Session(Model):
    """`key` names its messages: a session that is deleted and begun again has none of the old
    ones. `messages` counts what the user said and `answered` what has ended of it, in order;
    `summary` stands for the first `summarized`. While `claimed_until` is to come, somebody works
    on its next answer, who knows the `claim`."""

    id: str
    agent_id: str
    user_id: str
    messages: int = 0
    answered: int = 0
    created_at: str
    updated_at: str
    key: str = Field(exclude=True)
    summary: str | None = Field(default=None, exclude=True)
    summarized: int = Field(default=0, exclude=True)
    claim: str | None = Field(default=None, exclude=True)
    claimed_until: int = Field(default=0, exclude=True)
    expires_at: int | None = Field(default=None, exclude=True)
    tokens_per_day: int = Field(default=DEFAULT_QUOTAS.tokens_per_day, exclude=True)
    correlation_id: str | None = Field(default=None, exclude=True)
    version: int = Field(default=1, exclude=True)

    @property
    def pending(self) -> int:
        return self.messages - self.answered

    @property
    def is_live(self) -> bool:
        """DynamoDB may remove what has expired days later."""
        return self.expires_at is None or self.expires_at > time.time()

    def advanced(self, **changes: object) -> "Session":
        return self.model_copy(update={**changes, "version": self.version + 1})


class MessageError(Model):
    code: str
    message: str


class Answer(Model):
    """How the agent's part of a message ended."""

    status: MessageStatus
    content: str | None = None
    error: MessageError | None = None
    tool_calls: int = 0
    timestamp: str


class Message(Model):
    """What a user said, and what came of it."""

    session_key: str = Field(exclude=True)
    number: int = Field(exclude=True)
    agent_id: str
    session_id: str
    user_id: str
    content: str
    created_at: str
    answer: Answer | None = None
    correlation_id: str | None = Field(default=None, exclude=True)
    traceparent: str | None = Field(default=None, exclude=True)

    @property
    def id(self) -> str:
        return f"{self.session_key}-{self.number}"

    @property
    def status(self) -> MessageStatus:
        return self.answer.status if self.answer else MessageStatus.PENDING

    @property
    def shown(self) -> "MessageDetails":
        answer = self.answer
        return MessageDetails(
            id=self.id,
            agent_id=self.agent_id,
            session_id=self.session_id,
            user_id=self.user_id,
            content=self.content,
            created_at=self.created_at,
            status=self.status,
            answer=answer.content if answer else None,
            error=answer.error if answer else None,
            answered_at=answer.timestamp if answer else None,
        )

    def history(self) -> list["Line"]:
        """Its part of a context's conversation history."""
        metadata = {"messageId": self.id, "status": self.status.value}
        said = [
            Line(role="user", content=self.content, timestamp=self.created_at, metadata=metadata)
        ]
        if self.answer and self.answer.content is not None:
            about = metadata | {"toolCalls": self.answer.tool_calls}
            content, answered_at = self.answer.content, self.answer.timestamp
            said.append(
                Line(role="assistant", content=content, timestamp=answered_at, metadata=about)
            )
        return said


class MessageDetails(Model):
    """A message as its user sees it, with the agent's answer once there is one."""

    id: str
    agent_id: str
    session_id: str
    user_id: str
    content: str
    created_at: str
    status: MessageStatus
    answer: str | None
    error: MessageError | None
    answered_at: str | None


class Line(Model):
    """What one side said."""

    role: Literal["user", "assistant"]
    content: str
    timestamp: str
    metadata: dict[str, Any]


class SendMessageRequest(Model):
    """Without a session a new one begins."""

    content: str = Field(min_length=1, max_length=MAX_CONTENT, pattern=r"\S")
    session_id: Id | None = None


def place_of(message_id: str) -> tuple[str, int]:
    """The session's key and the message's number. Raises MessageNotFound for what is no id."""
    match = _MESSAGE_ID.fullmatch(message_id)
    if not match:
        raise MessageNotFound(message_id)
    return match["key"], int(match["number"])


class MessageNotFound(NotFound):
    def __init__(self, message_id: str) -> None:
        super().__init__(f"Message {message_id} does not exist", messageId=message_id)


class SessionNotFound(NotFound):
    def __init__(self, session_id: str) -> None:
        super().__init__(f"Session {session_id} does not exist", sessionId=session_id)


class TooManyPending(TooManyRequests):
    def __init__(self) -> None:
        super().__init__(f"{MAX_PENDING} messages of this session wait for their answers", 5)
