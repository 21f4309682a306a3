"""The agents service: routes and consumers, each a few lines around one use case."""

from functools import cache

from chalice.app import Response
from chalicelib.agents import use_cases
from chalicelib.agents.models import CreateAgentRequest, UpdateAgentRequest
from chalicelib.agents.repository import AgentRepository
from common.consumers import Consumers
from common.events.tasks import TaskCancelledV1, TaskCompletedV1, TaskCreatedV1, TaskFailedV1
from common.http import (
    ServiceApp,
    authorizer,
    caller,
    header,
    limit,
    once,
    parse,
    path_id,
    query,
)
from common.outbox import relay
from common.service import cursors, outbox_relay, table

app = ServiceApp("agents")
relay_outbox = relay(app, outbox_relay)
consumers = Consumers()
consume = consumers.lambda_function(app)


@cache
def agents() -> AgentRepository:
    return AgentRepository(table())


@app.route("/agents", methods=["POST"], authorizer=authorizer)
def create_agent() -> Response:
    request = app.request
    user = caller(request).require("agents", "write")
    agent = use_cases.create_agent(
        agents(), user, parse(CreateAgentRequest, request), once(request)
    )
    return Response(agent.wire(), {"ETag": agent.etag}, 201)


@app.route("/agents", methods=["GET"], authorizer=authorizer)
def list_agents() -> Response:
    user = caller(app.request).require("agents", "read")
    params = query(app.request, "limit", "nextToken")
    start = cursors().open(params.get("nextToken"), f"{user.user_id} agents")
    found, position = agents().list_for_user(user.user_id, limit(params), start)
    token = cursors().seal(position, f"{user.user_id} agents")
    return Response({"items": [agent.wire() for agent in found], "nextToken": token})


@app.route("/agents/{agent_id}", methods=["GET"], authorizer=authorizer)
def get_agent(agent_id: str) -> Response:
    user = caller(app.request).require("agents", "read")
    agent = use_cases.load_owned(agents(), user, path_id(agent_id))
    return Response(agent.wire(), {"ETag": agent.etag})


@app.route("/agents/{agent_id}", methods=["PUT"], authorizer=authorizer)
def update_agent(agent_id: str) -> Response:
    request = app.request
    user = caller(request).require("agents", "write")
    changes = parse(UpdateAgentRequest, request)
    agent = use_cases.update_agent(
        agents(), user, path_id(agent_id), changes, header(request, "if-match")
    )
    return Response(agent.wire(), {"ETag": agent.etag})


@app.route("/agents/{agent_id}", methods=["DELETE"], authorizer=authorizer)
def delete_agent(agent_id: str) -> Response:
    request = app.request
    user = caller(request).require("agents", "write")
    use_cases.delete_agent(agents(), user, path_id(agent_id), header(request, "if-match"))
    return Response("", status_code=204)


@consumers.on(TaskCreatedV1)
def on_task_created(event: TaskCreatedV1) -> None:
    use_cases.record_task(agents(), event.agent_id, event, outcome=None)


@consumers.on(TaskCompletedV1)
def on_task_completed(event: TaskCompletedV1) -> None:
    use_cases.record_task(agents(), event.agent_id, event, outcome="completed")


@consumers.on(TaskFailedV1)
def on_task_failed(event: TaskFailedV1) -> None:
    use_cases.record_task(agents(), event.agent_id, event, outcome="failed")


@consumers.on(TaskCancelledV1)
def on_task_cancelled(event: TaskCancelledV1) -> None:
    use_cases.record_task(agents(), event.agent_id, event, outcome="cancelled")
