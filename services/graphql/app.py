"""The graphql service: its one route, and the consumers that keep the read model."""

from functools import cache

from chalice.app import Response
from chalicelib.graphql import use_cases
from chalicelib.graphql.models.agents import Agent
from chalicelib.graphql.models.requests import GraphQLRequest
from chalicelib.graphql.models.tasks import Task
from chalicelib.graphql.repository import AgentRepository, TaskRepository
from common.consumers import Consumers
from common.events.agents import (
    AgentCreatedV1,
    AgentDeletedV1,
    AgentStatusChangedV1,
    AgentUpdatedV1,
)
from common.events.tasks import (
    TaskCancelledV1,
    TaskCompletedV1,
    TaskCreatedV1,
    TaskFailedV1,
    TaskProgressV1,
    TaskStartedV1,
)
from common.http import ServiceApp
from common.principals import Principal
from common.requests import parse
from common.service import cursors, table

app = ServiceApp("graphql")
consumers = Consumers()
consume = consumers.lambda_function(app)


@cache
def agents() -> AgentRepository:
    return AgentRepository(table())


@cache
def tasks() -> TaskRepository:
    return TaskRepository(table())


@app.operation("POST", "/graphql")
def graphql(user: Principal) -> Response:
    """Any caller may ask; the schema's fields say what for. Ariadne is imported here: the consumers
    do without it."""
    from chalicelib.graphql import execution
    from chalicelib.graphql.resolvers import Context

    request = app.request
    request_id = request.context.get("requestId", "")
    context = Context(user, agents(), tasks(), cursors(), request_id)
    return Response(execution.execute(parse(GraphQLRequest, request), context))


@consumers.on(AgentCreatedV1)
def on_agent_created(event: AgentCreatedV1) -> None:
    use_cases.follow_agent(agents(), event, Agent.created)


@consumers.on(AgentUpdatedV1)
def on_agent_updated(event: AgentUpdatedV1) -> None:
    use_cases.follow_agent(agents(), event, Agent.updated)


@consumers.on(AgentStatusChangedV1)
def on_agent_status_changed(event: AgentStatusChangedV1) -> None:
    use_cases.follow_agent(agents(), event, Agent.status_changed)


@consumers.on(AgentDeletedV1)
def on_agent_deleted(event: AgentDeletedV1) -> None:
    use_cases.follow_agent(agents(), event, Agent.removed)


@consumers.on(TaskCreatedV1)
def on_task_created(event: TaskCreatedV1) -> None:
    use_cases.follow_task(tasks(), event.agent_id, event, Task.created)


@consumers.on(TaskStartedV1)
def on_task_started(event: TaskStartedV1) -> None:
    use_cases.follow_task(tasks(), event.agent_id, event, Task.started)


@consumers.on(TaskProgressV1)
def on_task_progress(event: TaskProgressV1) -> None:
    use_cases.follow_task(tasks(), event.agent_id, event, Task.progressed)


@consumers.on(TaskCompletedV1)
def on_task_completed(event: TaskCompletedV1) -> None:
    use_cases.follow_task(tasks(), event.agent_id, event, Task.completed)


@consumers.on(TaskFailedV1)
def on_task_failed(event: TaskFailedV1) -> None:
    use_cases.follow_task(tasks(), event.agent_id, event, Task.failed)


@consumers.on(TaskCancelledV1)
def on_task_cancelled(event: TaskCancelledV1) -> None:
    use_cases.follow_task(tasks(), event.agent_id, event, Task.cancelled)
