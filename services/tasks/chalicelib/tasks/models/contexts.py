"""What an agent knows when it answers: the conversation so far, its memory, its work's state."""

import math
from typing import Any, Literal

from chalicelib.tasks.models.agents import AgentSnapshot
from chalicelib.tasks.models.conversations import Line, Message, Session
from common.models import Model
from pydantic import ConfigDict, Field

MAX_FACTS = 50
MAX_FACT_CHARS = 500
MAX_REMEMBERED_SESSIONS = 20
MAX_SUMMARY_CHARS = 4_000
SESSION_KEPT_SECONDS = 7 * 24 * 3600
CHARS_PER_TOKEN = 4


class MemoryPolicy(Model):
    """What the agent's owner wants to be remembered, and how much of it at once."""

    model_config = ConfigDict(extra="ignore")

    max_context_length: int = 100_000
    summarization_threshold: float = 0.8
    retention_policy: Literal["session", "persistent"] = "session"

    @classmethod
    def of(cls, agent: AgentSnapshot) -> "MemoryPolicy":
        return cls.model_validate(agent.configuration.get("memoryConfig") or {})

    @property
    def threshold(self) -> int:
        """Estimated tokens; above it older messages are summarised."""
        return int(self.max_context_length * self.summarization_threshold)

    @property
    def is_persistent(self) -> bool:
        return self.retention_policy == "persistent"


class Fact(Model):
    id: str
    content: str
    confidence: float = 1.0
    source: str
    timestamp: str


class Memory(Model):
    """What an agent remembers beyond one session; `long_term` has the summaries of others."""

    agent_id: str
    long_term: dict[str, str] = Field(default_factory=dict)
    facts: list[Fact] = Field(default_factory=list)
    version: int = Field(default=0, exclude=True)

    def with_fact(self, fact: Fact) -> "Memory":
        others = [known for known in self.facts if known.id != fact.id]
        return self._changed(facts=[*others, fact][-MAX_FACTS:])

    def with_session(self, session_id: str, summary: str) -> "Memory":
        others = {name: text for name, text in self.long_term.items() if name != session_id}
        newest = list((others | {session_id: summary}).items())[-MAX_REMEMBERED_SESSIONS:]
        return self._changed(long_term=dict(newest))

    def without_session(self, session_id: str) -> "Memory":
        others = {name: text for name, text in self.long_term.items() if name != session_id}
        return self._changed(long_term=others)

    def _changed(self, **changes: object) -> "Memory":
        return self.model_copy(update={**changes, "version": self.version + 1})


class MemoryDetails(Model):
    """What an agent remembers of a session, of others, and beyond them."""

    short_term: dict[str, Any]
    long_term: dict[str, str]
    facts: list[Fact]

    @classmethod
    def of(cls, memory: Memory, session: Session | None = None) -> "MemoryDetails":
        short: dict[str, Any] = {}
        if session and session.summary:
            short = {"summary": session.summary, "summarizedMessages": session.summarized}
        return cls(short_term=short, long_term=memory.long_term, facts=memory.facts)


class Checkpoint(Model):
    """What was reached, of a task's steps or of a session's messages."""

    step_id: str
    state: dict[str, Any]
    timestamp: str


class WorkState(Model):
    variables: dict[str, Any] = Field(default_factory=dict)
    checkpoints: list[Checkpoint] = Field(default_factory=list)


class ContextDetails(Model):
    """What an agent knows: of one session, or beyond them."""

    agent_id: str
    session_id: str | None
    conversation_history: list[Line]
    agent_memory: MemoryDetails
    task_state: WorkState
    timestamp: str


class Context(Model):
    """All that an answer can build on."""

    session: Session
    messages: list[Message]
    """Those that the summary does not stand for, in order."""
    memory: Memory

    @property
    def shown(self) -> ContextDetails:
        return ContextDetails(
            agent_id=self.session.agent_id,
            session_id=self.session.id,
            conversation_history=[line for each in self.messages for line in each.history()],
            agent_memory=MemoryDetails.of(self.memory, self.session),
            task_state=self._task_state(),
            timestamp=self.session.updated_at,
        )

    def _task_state(self) -> WorkState:
        session = self.session
        return WorkState(
            variables={"messages": session.messages, "answered": session.answered},
            checkpoints=[
                Checkpoint(
                    step_id=message.id,
                    state=message.answer.wire(),
                    timestamp=message.answer.timestamp,
                )
                for message in self.messages
                if message.answer
            ],
        )

    @property
    def tokens(self) -> int:
        """An estimate of what the model reads of it."""
        return estimated_tokens(self.session.summary or "") + sum(map(tokens_of, self.messages))


def tokens_of(message: Message) -> int:
    said = message.answer.content if message.answer else None
    return estimated_tokens(message.content) + estimated_tokens(said or "")


def estimated_tokens(text: str) -> int:
    return math.ceil(len(text) / CHARS_PER_TOKEN)


def dumped(message: Message) -> dict[str, Any]:
    """As the model is given it to be summarised."""
    said = message.answer.content if message.answer else None
    return {"user": message.content, "assistant": said}
