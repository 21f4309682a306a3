"""The resolvers of schedules."""

import asyncio

from ariadne import EnumType, ObjectType, QueryType
from chalicelib.graphql.connections import Connection
from chalicelib.graphql.context import Context
from chalicelib.graphql.models.agents import Agent
from chalicelib.graphql.models.schedules import OnOverlap, Schedule, ScheduledRun
from chalicelib.graphql.models.tasks import Task
from chalicelib.graphql.use_cases.objects import load_agent, load_owned
from graphql import GraphQLResolveInfo

query, agent_type = QueryType(), ObjectType("Agent")
schedule_type, run_type = ObjectType("Schedule"), ObjectType("ScheduledRun")
BOUND = (query, agent_type, schedule_type, run_type, EnumType("OnOverlap", OnOverlap))


@query.field("schedule")
async def resolve_schedule(_: None, info: GraphQLResolveInfo, id: str) -> Schedule | None:
    context: Context = info.context
    return await load_owned(context.principal, context.schedule, id)


@query.field("schedules")
async def resolve_schedules(
    _: None,
    info: GraphQLResolveInfo,
    agent_id: str | None = None,
    limit: int | None = None,
    next_token: str | None = None,
) -> Connection[Schedule]:
    context: Context = info.context
    if agent_id is not None:
        await load_agent(context.principal, context.agent, agent_id)
    return await _schedules(context, agent_id, limit, next_token)


@agent_type.field("schedules")
async def resolve_schedules_of(
    agent: Agent, info: GraphQLResolveInfo, limit: int | None = None, next_token: str | None = None
) -> Connection[Schedule]:
    return await _schedules(info.context, agent.id, limit, next_token)


async def _schedules(
    context: Context, agent_id: str | None, limit: int | None, next_token: str | None
) -> Connection[Schedule]:
    paging = context.paging(f"schedules {agent_id}", limit, next_token)
    ask = context.principal.user_id, agent_id, paging.limit, paging.start
    found = await asyncio.to_thread(context.model.schedules.list_for_user, *ask)
    return paging.connection(found)


@schedule_type.field("agent")
async def resolve_agent(schedule: Schedule, info: GraphQLResolveInfo) -> Agent | None:
    context: Context = info.context
    return await load_owned(context.principal, context.agent, schedule.agent_id)


@run_type.field("task")
async def resolve_task(run: ScheduledRun, info: GraphQLResolveInfo) -> Task | None:
    context: Context = info.context
    return await load_owned(context.principal, context.task, run.task_id)
