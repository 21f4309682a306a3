"""Whether an agent may do what it wants to, or a person must agree first."""

from typing import Any

from chalicelib.tasks.models import AgentSnapshot, TaskFile
from chalicelib.tasks.models.approvals import ApprovalStatus, Wish
from chalicelib.tasks.models.failures import AgentFailed, ApprovalNeeded, Refused
from chalicelib.tasks.models.journal import Place
from chalicelib.tasks.repository import Store
from chalicelib.tasks.use_cases.approvals import wish


class StepAdmission:
    """Which calls of a step its agent's owner wants to be asked about."""

    def __init__(self, store: Store, agent: AgentSnapshot, file: TaskFile, index: int) -> None:
        self._store = store
        self._agent = agent
        self._file = file
        self._index = index

    def __call__(self, place: Place, tool: str, parameters: dict[str, Any]) -> None:
        if self._agent.asks_before("tools", tool):
            wanted = {"tool": tool, "parameters": parameters}
            require(self._store, wish(self._file, self._index, place.key, **wanted))

    def require_step(self) -> None:
        """A whole step, if the plan or the agent's owner wants it. Raises as `require`, but
        AgentFailed if it is refused: there is nobody to tell."""
        step = self._file.agreed_plan.steps[self._index]
        if not self._agent.asks_before_step(step):
            return
        try:
            require(self._store, wish(self._file, self._index, "step"))
        except Refused as refusal:
            raise AgentFailed("APPROVAL_REJECTED", str(refusal)) from refusal


def require(store: Store, wanted: Wish) -> None:
    """Returns if a person agreed to exactly this. Raises ApprovalNeeded if nobody has decided,
    Refused if a person said no, AgentFailed if nobody said anything in time."""
    known = store.approvals.find(wanted.approval_id)
    if known is None or known.status == ApprovalStatus.PENDING:
        raise ApprovalNeeded(wanted)
    if known.status == ApprovalStatus.REJECTED:
        why = f": {known.comment}" if known.comment else ""
        raise Refused(f"A person refused this{why}")
    if known.status != ApprovalStatus.APPROVED:
        raise AgentFailed("APPROVAL_EXPIRED", "Nobody decided in time whether this may be done")
