"""Plans: the steps of a task, in order, and the branches that a decision chooses among."""

from enum import StrEnum
from typing import Any, Literal, Self

from common.models import Model
from pydantic import ConfigDict, Field, ValidationInfo, field_validator, model_validator

MAX_STEPS = 200
MAX_PLAN_CHARS = 80_000
MAX_OPTIONS = 10


class StepStatus(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"


class Option(Model):
    """One of the ways that a decision can go."""

    model_config = ConfigDict(extra="ignore")

    name: str = Field(min_length=1, max_length=100, description="Short and unique")
    description: str = Field(default="", max_length=1000, description="When it is the right one")


class Condition(Model):
    """A step that is carried out only if a decision went this way."""

    model_config = ConfigDict(extra="ignore")

    decision: int = Field(ge=1, description="The number of the decision step, counted from 1")
    option: str = Field(description="The name of the option that must have been chosen")


class PlannedStep(Model):
    """One step of the plan."""

    model_config = ConfigDict(extra="ignore")

    type: Literal["reasoning", "tool_call", "decision", "response"] = Field(
        description="reasoning: think about something; tool_call: use a tool; decision: choose "
        "among options, when the results so far tell which later steps are needed; "
        "response: write the answer for the user"
    )
    description: str = Field(min_length=1, max_length=2000, description="What to do, precisely")
    tool: str | None = Field(default=None, description="tool_call only: the tool's name")
    parameters: dict[str, Any] | None = Field(
        default=None,
        description="tool_call only: the tool's parameters, if they are known already; "
        "null if they depend on the result of an earlier step",
    )
    options: list[Option] | None = Field(
        default=None, max_length=MAX_OPTIONS, description="decision only: two or more options"
    )
    only_if: Condition | None = Field(
        default=None, description="Leave out for a step that is always carried out"
    )
    needs_approval: bool = Field(
        default=False, description="Whether a person must agree before the step is carried out"
    )
    answer: str | None = Field(
        default=None,
        description="response only, and only if it is the plan's single step and needs no tool "
        "and no reasoning: the complete answer",
    )

    @model_validator(mode="after")
    def _options_are_a_choice(self) -> Self:
        names = [option.name for option in self.options or []]
        if self.type == "decision" and (len(names) < 2 or len(set(names)) < len(names)):
            raise ValueError("a decision needs two or more options with different names")
        return self


class TaskPlan(Model):
    """The steps that carry the task out, in order; the last one is a response."""

    model_config = ConfigDict(extra="ignore")

    version: int = 1
    steps: list[PlannedStep] = Field(min_length=1, max_length=MAX_STEPS)

    @field_validator("steps")
    @classmethod
    def _conditions_name_earlier_decisions(
        cls, steps: list[PlannedStep], _info: ValidationInfo
    ) -> list[PlannedStep]:
        for index, step in enumerate(steps):
            if step.only_if and not _is_option(steps[:index], step.only_if):
                raise ValueError(f"step {index + 1} depends on no option of an earlier decision")
        return steps

    @classmethod
    def to_answer_at_once(cls) -> Self:
        return cls(steps=[PlannedStep(type="response", description="Answer the task")])

    @property
    def answer(self) -> str | None:
        """If the plan is nothing but that."""
        only = self.steps[0]
        return only.answer if len(self.steps) == 1 and only.type == "response" else None

    @property
    def is_storable(self) -> bool:
        """In one row: DynamoDB's limit is 400 KB, and a character has up to four bytes."""
        return len(self.model_dump_json()) <= MAX_PLAN_CHARS

    def ending_in_a_response(self) -> Self:
        """Whatever a decision chooses, the task has an answer."""
        if self.steps[-1].type == "response" and not self.steps[-1].only_if:
            return self
        last = PlannedStep(type="response", description="Answer the task from the results")
        return self.model_copy(update={"steps": [*self.steps[: MAX_STEPS - 1], last]})


def _is_option(before: list[PlannedStep], condition: Condition) -> bool:
    if condition.decision > len(before):
        return False
    decision = before[condition.decision - 1]
    names = [option.name for option in decision.options or []]
    return decision.type == "decision" and condition.option in names


def step_id(index: int) -> str:
    return f"step-{index + 1:03d}"


def scope_of(index: int) -> str:
    """Under which a step stands in the journal."""
    return f"{index:04d}"
