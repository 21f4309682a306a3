"""Tasks and collaborations as their owners see them."""

from typing import Any

from chalicelib.tasks.models.plans import Condition, Option, StepStatus
from common.models import Model


class Decision(Model):
    """What was chosen at a decision step, and why."""

    option: str
    rationale: str


class StepInput(Model):
    tool: str
    parameters: dict[str, Any] | None


class StepDetails(Model):
    """A step of the plan with its state, and what it left behind if it has ended."""

    id: str
    type: str
    description: str
    input: StepInput | None
    options: list[Option] | None
    only_if: Condition | None
    output: str | None
    decision: Decision | None
    status: StepStatus
    started_at: str | None
    completed_at: str | None


class PlanDetails(Model):
    version: int
    steps: list[StepDetails]
