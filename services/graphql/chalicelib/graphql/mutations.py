"""The mutations of the schema. One is answered before the next one begins, so that none of them
needs to be a coroutine; what their answers lead to is read as everywhere."""

from typing import Any

from ariadne import MutationType
from chalicelib.graphql.context import Context
from chalicelib.graphql.models.agents import Agent
from chalicelib.graphql.models.tasks import Task
from chalicelib.graphql.use_cases.objects import owned, require_id
from common.errors import NotFound
from common.events.requests import (
    AgentCreationRequestedV1,
    AgentDeletionRequestedV1,
    AgentUpdateRequestedV1,
    Request,
    TaskCancellationRequestedV1,
    TaskCreationRequestedV1,
)
from graphql import GraphQLResolveInfo

mutation = MutationType()
Input = dict[str, Any]


@mutation.field("createAgent")
def resolve_create_agent(_: None, info: GraphQLResolveInfo, input: Input) -> Agent:
    wanted, mutation_id = _parted(input)
    return _agent(info, ask(info, AgentCreationRequestedV1, mutation_id, input=wanted))


@mutation.field("updateAgent")
def resolve_update_agent(_: None, info: GraphQLResolveInfo, id: str, input: Input) -> Agent:
    changes, mutation_id = _parted(input)
    about = {"agent_id": id, "input": changes}
    return _agent(info, ask(info, AgentUpdateRequestedV1, mutation_id, **about))


@mutation.field("deleteAgent")
def resolve_delete_agent(
    _: None, info: GraphQLResolveInfo, id: str, client_mutation_id: str | None = None
) -> bool:
    ask(info, AgentDeletionRequestedV1, client_mutation_id, agent_id=id)
    return True


@mutation.field("createTask")
def resolve_create_task(_: None, info: GraphQLResolveInfo, agent_id: str, input: Input) -> Task:
    wanted, mutation_id = _parted(input)
    about = {"agent_id": agent_id, "input": wanted}
    return _task(info, ask(info, TaskCreationRequestedV1, mutation_id, **about))


@mutation.field("cancelTask")
def resolve_cancel_task(
    _: None,
    info: GraphQLResolveInfo,
    agent_id: str,
    task_id: str,
    client_mutation_id: str | None = None,
) -> Task:
    about = {"agent_id": agent_id, "task_id": task_id}
    return _task(info, ask(info, TaskCancellationRequestedV1, client_mutation_id, **about))


def ask(
    info: GraphQLResolveInfo, kind: type[Request], mutation_id: str | None, **asked: Any
) -> str:
    """What is known to be another user's is refused here; everything else is the owner's to say."""
    context: Context = info.context
    for name in ("agent_id", "task_id", "approval_id"):
        require_id(asked.get(name, "none"))
    if "agent_id" in asked:
        owned(context.principal, context.model.agents.find(asked["agent_id"]))
    if "approval_id" in asked:
        owned(context.principal, context.model.approvals.find(asked["approval_id"]))
    mutations = context.mutations
    return mutations.carried_out(kind, str(info.path.key), mutation_id, **asked)


def _parted(input: Input) -> tuple[Input, str | None]:
    wanted = dict(input)
    return wanted, wanted.pop("clientMutationId", None)


def _agent(info: GraphQLResolveInfo, agent_id: str) -> Agent:
    """As it is now, not as it was read before."""
    context: Context = info.context
    agent = owned(context.principal, context.model.agents.find(agent_id))
    if agent is None:
        raise NotFound("The agent was deleted meanwhile")
    context.agent.know(agent.id, agent)
    return agent


def _task(info: GraphQLResolveInfo, task_id: str) -> Task:
    context: Context = info.context
    task = owned(context.principal, context.model.tasks.find(task_id))
    assert task, "its effect was read, and tasks stay"
    context.task.know(task.id, task)
    return task
