"""The tasks service: routes, consumers, and the functions of the TaskExecution state machine."""

import os
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from chalice.app import Response
from chalicelib.tasks.models import CreateTaskRequest
from chalicelib.tasks.repository import TaskRepository
from chalicelib.tasks.use_cases import agents, execution, scheduled, usage
from chalicelib.tasks.use_cases import tasks as use_cases
from chalicelib.tasks.workflow import TaskExecutions
from common.consumers import Consumers
from common.events.agents import AgentCreatedV1, AgentDeletedV1, AgentUpdatedV1
from common.events.schedules import ScheduledTaskV1
from common.events.tasks import TaskCreatedV1
from common.http import ServiceApp
from common.outbox import relay
from common.principals import Principal
from common.requests import limit, once, parse, query
from common.service import cursors, outbox_relay, table

if TYPE_CHECKING:
    from chalicelib.tasks.runtime import Runtime

app = ServiceApp("tasks")
relay_outbox = relay(app, outbox_relay)
consumers = Consumers()
consume = consumers.lambda_function(app)


@cache
def tasks() -> TaskRepository:
    return TaskRepository(table())


@cache
def executions() -> TaskExecutions:
    return TaskExecutions(boto3.client("stepfunctions"), os.environ["STATE_MACHINE_ARN"])


@cache
def runtime() -> "Runtime":
    """Imported here: only the functions that ask a model pay for strands and its SDKs."""
    from chalicelib.tasks.runtime import Runtime

    return Runtime(boto3.client("lambda"), tasks())


@app.operation("POST", "/agents/{agent_id}/tasks", "tasks:write")
def create_task(user: Principal, agent_id: str) -> Response:
    request = app.request
    wanted = parse(CreateTaskRequest, request)
    file = use_cases.create_task(tasks(), user, agent_id, wanted, once(request))
    return Response(file.wire(), status_code=201)


@app.operation("GET", "/agents/{agent_id}/tasks", "tasks:read")
def list_tasks(user: Principal, agent_id: str) -> Response:
    params = query(app.request, "limit", "nextToken")
    scope = f"{user.user_id} tasks {agent_id}"
    start = cursors().open(params.get("nextToken"), scope)
    found, position = use_cases.list_tasks(tasks(), user, agent_id, limit(params), start)
    items = [task.wire() for task in found]
    return Response({"items": items, "nextToken": cursors().seal(position, scope)})


@app.operation("GET", "/agents/{agent_id}/tasks/{task_id}", "tasks:read")
def get_task(user: Principal, agent_id: str, task_id: str) -> Response:
    file = use_cases.load_owned(tasks(), user, agent_id, task_id)
    return Response(file.wire())


@app.operation("POST", "/agents/{agent_id}/tasks/{task_id}/cancel", "tasks:write")
def cancel_task(user: Principal, agent_id: str, task_id: str) -> Response:
    request = app.request
    ids = agent_id, task_id
    file = use_cases.cancel_task(tasks(), user, *ids, once(request))
    return Response(file.wire())


@app.operation("GET", "/usage", "tasks:read")
def get_usage(user: Principal) -> Response:
    return Response(usage.read_usage(tasks(), user).wire())


@consumers.on(AgentCreatedV1)
def on_agent_created(event: AgentCreatedV1) -> None:
    agents.keep_agent(tasks(), event)


@consumers.on(AgentUpdatedV1)
def on_agent_updated(event: AgentUpdatedV1) -> None:
    agents.keep_agent(tasks(), event)


@consumers.on(AgentDeletedV1)
def on_agent_deleted(event: AgentDeletedV1) -> None:
    use_cases.cancel_tasks_of(tasks(), event.agent_id)
    agents.forget_agent(tasks(), event)


@consumers.on(TaskCreatedV1)
def on_task_created(event: TaskCreatedV1) -> None:
    executions().start(event.task_id, attempt=1)


@consumers.on(ScheduledTaskV1)
def on_scheduled_task(event: ScheduledTaskV1) -> None:
    scheduled.create_task(tasks(), event)


@app.lambda_function(name="initialize_task")
def initialize_task(event: dict[str, Any], _context: object) -> dict[str, Any]:
    return execution.initialize_task(tasks(), event["taskId"])


@app.lambda_function(name="plan_task")
def plan_task(event: dict[str, Any], _context: object) -> dict[str, Any]:
    return execution.plan_task(tasks(), runtime(), event["taskId"])


@app.lambda_function(name="execute_step")
def execute_step(event: dict[str, Any], _context: object) -> dict[str, Any]:
    return execution.execute_step(tasks(), runtime(), event["taskId"], event["step"])


@app.lambda_function(name="complete_task")
def complete_task(event: dict[str, Any], _context: object) -> dict[str, Any]:
    return execution.complete_task(tasks(), event["taskId"])


@app.lambda_function(name="handle_error")
def handle_error(event: dict[str, Any], _context: object) -> dict[str, Any]:
    return execution.handle_error(tasks(), event["taskId"])


if os.environ.get("PRELOAD_PROVIDERS"):
    from chalicelib.tasks.runtime import preload

    preload()
