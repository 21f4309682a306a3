"""Agents as their events tell of them.

Events come twice and in any order. Each part of an agent keeps the version of the event that it was
last taken from, and only a newer one replaces it: whatever the order, the end is the same.
"""

from enum import StrEnum
from typing import Any

from common.events.agents import AgentCreatedV1, AgentStatusChangedV1, AgentUpdatedV1
from common.events.base import Event
from common.models import Model
from pydantic import ConfigDict, model_validator


class LLMProvider(StrEnum):
    OPENAI = "openai"
    ANTHROPIC = "anthropic"


class AgentStatus(StrEnum):
    IDLE = "idle"
    PROCESSING = "processing"
    WAITING = "waiting"
    ERROR = "error"


class SideEffects(StrEnum):
    NONE = "none"
    IDEMPOTENT = "idempotent"
    UNSAFE = "unsafe"


class StepType(StrEnum):
    REASONING = "reasoning"
    TOOL_CALL = "tool_call"
    DECISION = "decision"
    RESPONSE = "response"


class Configured(Model):
    """Part of an agent's configuration: what the agents service adds to it one day is ignored, and
    what is null is as if it had been left out."""

    model_config = ConfigDict(extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, told: Any) -> Any:
        return {name: value for name, value in told.items() if value is not None}


class Tool(Configured):
    name: str
    description: str
    parameters: dict[str, Any]
    handler: str
    side_effects: SideEffects = SideEffects.IDEMPOTENT


class ApprovalPolicy(Configured):
    tools: tuple[str, ...] = ()
    steps: tuple[StepType, ...] = ()
    expires_after_seconds: int = 24 * 3600


class MemoryConfiguration(Configured):
    max_context_length: int
    summarization_threshold: float
    retention_policy: str


class AgentConfiguration(Configured):
    llm_provider: LLMProvider
    model: str
    tools: tuple[Tool, ...]
    system_prompt: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    memory_config: MemoryConfiguration | None = None
    cache_responses: bool = False
    approval_policy: ApprovalPolicy | None = None


class Agent(Model):
    """A deleted agent stays as a tombstone, so that a late event does not bring it back."""

    id: str
    user_id: str
    name: str | None = None
    configuration: dict[str, Any] | None = None
    status: AgentStatus = AgentStatus.IDLE
    created_at: str | None = None
    updated_at: str | None = None
    described_version: int = 0
    status_version: int = 0
    deleted: bool = False

    @property
    def version(self) -> int:
        """Grows with every change, and depends on what was heard of, not on the order; 0 is a
        tombstone or nothing at all."""
        return self.described_version + self.status_version + bool(self.created_at)

    @property
    def visible(self) -> bool:
        """The events that say what clients must be told have arrived."""
        return not self.deleted and self.created_at is not None

    def created(self, event: AgentCreatedV1) -> "Agent":
        if self.deleted:
            return self
        return self.updated(event).model_copy(update={"created_at": event.timestamp})

    def updated(self, event: AgentCreatedV1 | AgentUpdatedV1) -> "Agent":
        if self.deleted or event.aggregate_version <= self.described_version:
            return self
        return self.model_copy(
            update={
                "name": event.name,
                "configuration": event.configuration,
                "updated_at": event.timestamp,
                "described_version": event.aggregate_version,
            }
        )

    def status_changed(self, event: AgentStatusChangedV1) -> "Agent":
        if self.deleted or event.aggregate_version <= self.status_version:
            return self
        status = AgentStatus(event.new_status)
        return self.model_copy(update={"status": status, "status_version": event.aggregate_version})

    def removed(self, _event: Event) -> "Agent":
        return Agent(id=self.id, user_id=self.user_id, deleted=True)
