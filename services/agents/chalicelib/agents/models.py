"""Agents as their owners describe them, and what they are doing."""

from enum import StrEnum
from typing import Any, Literal

from common.errors import NotFound
from common.models import Model, Name
from common.tool_schemas import UnusableSchema, refuse_unusable
from pydantic import Field, field_validator, model_validator


class AgentStatus(StrEnum):
    IDLE = "idle"
    PROCESSING = "processing"
    WAITING = "waiting"
    ERROR = "error"


TaskState = Literal["active", "waiting", "completed", "failed", "cancelled"]
ACTIVE: tuple[TaskState, ...] = ("active", "waiting")


class ToolDefinition(Model):
    """A tool the model may call. `handler` names the Lambda function that carries it out. What it
    does to the world says whether a call that may have happened can be repeated: always (`none`,
    `idempotent`, which is the default), or never without a person (`unsafe`)."""

    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    description: str = Field(min_length=1, max_length=1000, pattern=r"\S")
    parameters: dict[str, Any]
    handler: str = Field(pattern=r"^agentic-tool-[A-Za-z0-9_-]{1,50}$")
    side_effects: Literal["none", "idempotent", "unsafe"] | None = None

    @field_validator("parameters")
    @classmethod
    def _schema_is_usable(cls, parameters: dict[str, Any]) -> dict[str, Any]:
        try:
            refuse_unusable(parameters)
        except UnusableSchema as error:
            raise ValueError(str(error)) from error
        return parameters


StepType = Literal["reasoning", "tool_call", "decision", "response"]


class ApprovalPolicy(Model):
    """What a person must agree to, each time: calls of these tools, steps of these types."""

    tools: list[str] = Field(default=[], max_length=50)
    steps: list[StepType] = Field(default=[], max_length=4)
    expires_after_seconds: int | None = Field(default=None, ge=1, le=7 * 24 * 3600)


class MemoryConfiguration(Model):
    max_context_length: int = Field(ge=100, le=1_000_000)
    summarization_threshold: float = Field(gt=0, le=1)
    retention_policy: Literal["session", "persistent"]


class AgentConfiguration(Model):
    """Temperatures above 1 are sent to Anthropic as 1, where its scale ends."""

    llm_provider: Literal["openai", "anthropic"]
    model: str = Field(min_length=1, max_length=100, pattern=r"\S")
    tools: list[ToolDefinition] = Field(max_length=50)
    system_prompt: str | None = Field(default=None, max_length=20_000)
    temperature: float | None = Field(default=None, ge=0, le=2)
    max_tokens: int | None = Field(default=None, ge=1, le=1_000_000)
    memory_config: MemoryConfiguration | None = None
    cache_responses: bool | None = Field(
        default=None, description="The same question gets the same answer for an hour"
    )
    approval_policy: ApprovalPolicy | None = None

    @model_validator(mode="after")
    def _tool_names_are_unique(self) -> "AgentConfiguration":
        names = [tool.name for tool in self.tools]
        if len(set(names)) != len(names):
            raise ValueError("two tools have the same name")
        return self

    @model_validator(mode="after")
    def _approvals_are_about_its_tools(self) -> "AgentConfiguration":
        names = {tool.name for tool in self.tools}
        if self.approval_policy and not names.issuperset(self.approval_policy.tools):
            raise ValueError("approvalPolicy names a tool that the agent does not have")
        return self


class CreateAgentRequest(Model):
    name: Name
    configuration: AgentConfiguration


class UpdateAgentRequest(Model):
    """What is left out stays; inside `configuration` too, where null clears an optional field."""

    name: Name | None = None
    configuration: dict[str, Any] | None = None


class Agent(Model):
    """`revision` counts the owner's changes and is the ETag; `version` counts every write."""

    id: str
    user_id: str
    name: str
    configuration: dict[str, Any]
    status: AgentStatus
    revision: int
    created_at: str
    updated_at: str
    version: int = Field(exclude=True)
    active_tasks: int = Field(default=0, exclude=True)
    waiting_tasks: int = Field(default=0, exclude=True)
    last_ended_at: str = Field(default="", exclude=True)
    last_outcome: str = Field(default="completed", exclude=True)

    @property
    def etag(self) -> str:
        return f'"{self.revision}"'

    def derived_status(self) -> AgentStatus:
        """From the set of active tasks and the last one to end, so that the order in which events
        arrive makes no difference."""
        if self.active_tasks > self.waiting_tasks:
            return AgentStatus.PROCESSING
        if self.active_tasks:
            return AgentStatus.WAITING
        return AgentStatus.ERROR if self.last_outcome == "failed" else AgentStatus.IDLE


class AgentNotFound(NotFound):
    def __init__(self, agent_id: str) -> None:
        super().__init__(f"Agent {agent_id} does not exist", agentId=agent_id)
