"""Lives of an agent and its tasks as their events tell them, and the ways these may arrive."""

from typing import Any, NamedTuple

from common.events.agents import (
    AgentCreatedV1,
    AgentDeletedV1,
    AgentStatusChangedV1,
    AgentUpdatedV1,
)
from common.events.approvals import ApprovalDecidedV1, ApprovalRequestedV1, ApprovalVoidedV1
from common.events.base import Event
from common.events.tasks import (
    TaskCancelledV1,
    TaskCompletedV1,
    TaskCreatedV1,
    TaskFailedV1,
    TaskProgressV1,
    TaskRetriedV1,
    TaskStartedV1,
)
from hypothesis import strategies as st

from tests.agents import CONFIGURATION

AGENT = "agent"
OWNER = "ada"


class Teller:
    """Makes events, a second apart, with the versions of what they are about."""

    def __init__(self) -> None:
        self.told: list[Event] = []
        self._versions: dict[str, int] = {}

    def tell(self, event: type[Event], about: str = AGENT, **fields: Any) -> None:
        version = self._versions[about] = self._versions.get(about, 0) + 1
        second = len(self.told)
        given: dict[str, Any] = {
            "event_id": f"e{second:03d}",
            "agent_id": AGENT,
            "user_id": OWNER,
            "aggregate_id": about,
            "aggregate_version": version,
            "timestamp": f"2030-01-01T00:{second // 60:02d}:{second % 60:02d}.000Z",
        }
        if about != AGENT:
            given["task_id"] = about
        self.told.append(event(**given | fields))


STEPS: dict[str, tuple[type[Event], dict[str, Any]]] = {
    "updated": (AgentUpdatedV1, {"name": "renamed", "configuration": CONFIGURATION}),
    "processing": (AgentStatusChangedV1, {"old_status": "idle", "new_status": "processing"}),
    "idle": (AgentStatusChangedV1, {"old_status": "processing", "new_status": "idle"}),
}
ENDS: dict[str, tuple[type[Event], dict[str, Any]]] = {
    "completed": (TaskCompletedV1, {"result": "done"}),
    "failed": (TaskFailedV1, {"error_code": "E", "error_message": "no"}),
    "cancelled": (TaskCancelledV1, {}),
}


ANSWERS: dict[str, tuple[type[Event], dict[str, Any]]] = {
    "approved": (ApprovalDecidedV1, {"decision": "approved"}),
    "rejected": (ApprovalDecidedV1, {"decision": "rejected", "comment": "no"}),
    "expired": (ApprovalDecidedV1, {"decision": "expired"}),
}
ASKED = {
    "step": "step-001",
    "description": "call it",
    "tool": "lookup",
    "parameters": {"n": 1},
    "expires_at": "2031-01-01T00:00:00.000Z",
}


class Work(NamedTuple):
    """What becomes of a task: whether and how it is answered when it asks a person, how far it
    gets, how it ends; if it failed, whether it is tried again."""

    answer: str | None
    progress: int
    end: str | None
    is_retried: bool


works = st.builds(
    Work,
    st.sampled_from([None, "", *sorted(ANSWERS)]),
    st.integers(0, 2),
    st.none() | st.sampled_from(sorted(ENDS)),
    st.booleans(),
)


def _work_on(teller: Teller, task: str, work: Work) -> None:
    teller.tell(TaskCreatedV1, task, description=f"do {task}")
    teller.tell(TaskStartedV1, task)
    asked = {"approval_id": f"approval-of-{task}"}
    if work.answer is not None:
        teller.tell(ApprovalRequestedV1, task, **asked, **ASKED)
    if work.answer:
        event, fields = ANSWERS[work.answer]
        teller.tell(event, task, **asked, **fields)
    progress, end = work.progress, work.end
    for step in range(progress):
        done = {"current_step": step, "total_steps": progress, "progress": step / progress}
        teller.tell(TaskProgressV1, task, **done)
    if end:
        event, fields = ENDS[end]
        teller.tell(event, task, **fields)
        if work.answer == "":
            teller.tell(ApprovalVoidedV1, task, **asked)
    if end == "failed" and work.is_retried:
        teller.tell(TaskRetriedV1, task, attempt=2)
        teller.tell(TaskStartedV1, task)


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    """In the order in which it happened."""
    teller = Teller()
    teller.tell(AgentCreatedV1, name="helper", configuration=CONFIGURATION)
    for number in range(draw(st.integers(1, 2))):
        for step in draw(st.lists(st.sampled_from(sorted(STEPS)), max_size=2)):
            event, fields = STEPS[step]
            teller.tell(event, **fields)
        _work_on(teller, f"task-{number}", draw(works))
    if draw(st.booleans()):
        teller.tell(AgentDeletedV1)
    return teller.told


@st.composite
def arrivals(draw: st.DrawFn, history: list[Event]) -> list[Event]:
    """Any order, some events more than once."""
    copies = draw(st.lists(st.integers(1, 2), min_size=len(history), max_size=len(history)))
    repeated = [event for event, n in zip(history, copies, strict=True) for _ in range(n)]
    return draw(st.permutations(repeated))
