"""The resolvers of approvals, and of the decisions about them."""

import asyncio
from typing import Any

from ariadne import EnumType, MutationType, ObjectType, QueryType
from chalicelib.graphql.connections import Connection
from chalicelib.graphql.context import Context
from chalicelib.graphql.models.agents import Agent
from chalicelib.graphql.models.approvals import Approval, ApprovalStatus
from chalicelib.graphql.models.tasks import Task
from chalicelib.graphql.mutations import ask
from chalicelib.graphql.repository.approvals import Wanted
from chalicelib.graphql.repository.lists import Slice
from chalicelib.graphql.use_cases.objects import load_agent, load_owned, owned
from common.cursors import Position
from common.errors import NotFound
from common.events.requests import ApprovalDecisionRequestedV1
from graphql import GraphQLResolveInfo

query, mutation = QueryType(), MutationType()
approval_type, task_type = ObjectType("Approval"), ObjectType("Task")
BOUND = (query, mutation, approval_type, task_type, EnumType("ApprovalStatus", ApprovalStatus))


@query.field("approval")
async def resolve_approval(_: None, info: GraphQLResolveInfo, id: str) -> Approval | None:
    context: Context = info.context
    return await load_owned(context.principal, context.approval, id)


@query.field("approvals")
async def resolve_approvals(
    _: None,
    info: GraphQLResolveInfo,
    agent_id: str | None = None,
    task_id: str | None = None,
    status: ApprovalStatus | None = None,
    limit: int | None = None,
    next_token: str | None = None,
) -> Connection[Approval]:
    context: Context = info.context
    if agent_id is not None:
        await load_agent(context.principal, context.agent, agent_id)
    if task_id is not None:
        agent_id = await _agent_of(context, task_id, agent_id)
    wanted = Wanted(context.principal.user_id, agent_id, task_id, status)
    paging = context.paging(f"approvals {wanted}", limit, next_token)
    ask = wanted, paging.limit, paging.start
    found = await asyncio.to_thread(context.model.approvals.list_ids, *ask)
    return paging.connection(await _loaded(context, found, status))


async def _agent_of(context: Context, task_id: str, agent_id: str | None) -> str:
    task = await load_owned(context.principal, context.task, task_id)
    if task is None or agent_id not in (None, task.agent_id):
        raise NotFound(f"Task {task_id[:64]} does not exist", taskId=task_id[:64])
    return task.agent_id


async def _loaded(
    context: Context, found: Slice[str], status: ApprovalStatus | None
) -> Slice[Approval]:
    """One that was decided while it was looked for is left out of the list of those that wait."""
    loaded = await asyncio.gather(*(context.approval.load(id) for id, _ in found.items))
    items: list[tuple[Approval, Position]] = [
        (approval, position)
        for approval, (_, position) in zip(loaded, found.items, strict=True)
        if approval and status in (None, approval.status)
    ]
    return Slice(items, found.more)


@task_type.field("approvals")
async def resolve_approvals_of(
    task: Task, info: GraphQLResolveInfo, status: ApprovalStatus | None = None
) -> list[Approval]:
    context: Context = info.context
    loads = (context.approval.load(each.id) for each in task.approvals)
    return [
        approval
        for approval in await asyncio.gather(*loads)
        if owned(context.principal, approval) and approval and status in (None, approval.status)
    ]


@approval_type.field("agent")
async def resolve_agent(approval: Approval, info: GraphQLResolveInfo) -> Agent | None:
    context: Context = info.context
    return await load_owned(context.principal, context.agent, approval.agent_id)


@approval_type.field("task")
async def resolve_task(approval: Approval, info: GraphQLResolveInfo) -> Task | None:
    context: Context = info.context
    return await load_owned(context.principal, context.task, approval.task_id)


@mutation.field("approveApproval")
def resolve_approve(_: None, info: GraphQLResolveInfo, **arguments: Any) -> Approval:
    return _decide(info, "approve", **arguments)


@mutation.field("rejectApproval")
def resolve_reject(_: None, info: GraphQLResolveInfo, **arguments: Any) -> Approval:
    return _decide(info, "reject", **arguments)


def _decide(
    info: GraphQLResolveInfo,
    decision: str,
    id: str,
    comment: str | None = None,
    client_mutation_id: str | None = None,
) -> Approval:
    context: Context = info.context
    about = {"approval_id": id, "input": {"decision": decision, "comment": comment}}
    ask(info, ApprovalDecisionRequestedV1, client_mutation_id, **about)
    approval = owned(context.principal, context.model.approvals.find(id))
    assert approval, "its effect was read, and approvals stay"
    context.approval.know(approval.id, approval)
    return approval
