"""Why an agent does not go on."""

from chalicelib.tasks.models.approvals import Wish


class AgentFailed(Exception):
    """The agent could not do what it was asked, for a reason that its owner may read."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class ApprovalNeeded(Exception):
    """A person must agree first; whatever was done so far is on record."""

    def __init__(self, wish: Wish) -> None:
        super().__init__(wish.approval_id)
        self.wish = wish


class OutOfTime(Exception):
    """The function's time does not suffice for what is next; the next one goes on from here."""


class Refused(Exception):
    """A person said no; `str` is what the agent is told."""
