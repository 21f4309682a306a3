"""What is on record of a step while it is carried out, so that nothing of it happens twice."""

import hashlib
import json
from enum import StrEnum
from typing import Any

from common.models import Model

Message = dict[str, Any]
"""In the neutral form of strands: role, content blocks, metadata."""


def text_of(message: Message) -> str:
    return "".join(block.get("text", "") for block in message["content"]).strip()


class CallStatus(StrEnum):
    STARTED = "started"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class ToolCall(Model):
    """One use of a tool. Started without an end means that nobody knows whether it happened."""

    key: str
    step: str
    tool: str
    parameters: dict[str, Any]
    status: CallStatus = CallStatus.STARTED
    output: str | None = None
    started_at: str
    completed_at: str | None = None
    duration_ms: int | None = None


class Place(Model):
    """Where in its work an agent uses a tool. `owner` is a task or a message, `scope` the step."""

    owner: str
    scope: str
    turn: int
    use: str

    @property
    def key(self) -> str:
        """The idempotency key: the same for the same use of the tool, whoever asks and when."""
        parts = json.dumps([self.owner, self.scope, self.turn, self.use])
        return hashlib.sha256(parts.encode()).hexdigest()


class Turn(Model):
    """The messages that led to an answer of the model, since the last one, and that answer."""

    messages: list[Message]

    @property
    def tokens(self) -> int:
        usage = (self.messages[-1].get("metadata") or {}).get("usage") or {}
        return int(usage.get("inputTokens", 0)) + int(usage.get("outputTokens", 0))
