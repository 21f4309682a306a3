"""What resolvers share while one request is carried out."""

from dataclasses import dataclass, field

from chalicelib.graphql.connections import Paging
from chalicelib.graphql.loaders import Loader
from chalicelib.graphql.models.agents import Agent
from chalicelib.graphql.models.approvals import Approval
from chalicelib.graphql.models.schedules import Schedule
from chalicelib.graphql.models.tasks import Task
from chalicelib.graphql.use_cases.events import ReadModel
from chalicelib.graphql.use_cases.mutations import Mutations
from common.cursors import Cursors
from common.events.tasks import ToolInvocation
from common.principals import Principal


@dataclass(frozen=True)
class Context:
    """What was read once is not read again in it."""

    principal: Principal
    model: ReadModel
    cursors: Cursors
    request_id: str
    mutations: Mutations
    agent: Loader[Agent] = field(init=False)
    task: Loader[Task] = field(init=False)
    approval: Loader[Approval] = field(init=False)
    schedule: Loader[Schedule] = field(init=False)
    calls: Loader[list[ToolInvocation]] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "agent", Loader(self.model.agents.find_many))
        object.__setattr__(self, "task", Loader(self.model.tasks.find_many))
        object.__setattr__(self, "approval", Loader(self.model.approvals.find_many))
        object.__setattr__(self, "schedule", Loader(self.model.schedules.find_many))
        object.__setattr__(self, "calls", Loader(self.model.tasks.calls))

    def paging(self, of: str, limit: int | None, next_token: str | None) -> Paging:
        return Paging(self.cursors, f"{self.principal.user_id} graphql {of}", limit, next_token)
