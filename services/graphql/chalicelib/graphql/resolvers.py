"""The fields of the schema that take more than reading an attribute."""

import asyncio

from ariadne import EnumType, ObjectType, QueryType, SubscriptionType
from chalicelib.graphql.connections import Connection
from chalicelib.graphql.context import Context
from chalicelib.graphql.models.agents import (
    Agent,
    AgentConfiguration,
    AgentStatus,
    LLMProvider,
    SideEffects,
    StepType,
)
from chalicelib.graphql.models.sockets import Update
from chalicelib.graphql.models.tasks import StepStatus, Task, TaskProgress, TaskStatus, TaskStep
from chalicelib.graphql.use_cases import objects as use_cases
from common.events.tasks import ToolInvocation
from graphql import GraphQLResolveInfo

query, agent_type, task_type = QueryType(), ObjectType("Agent"), ObjectType("Task")
step_type, subscription = ObjectType("TaskStep"), SubscriptionType()
CALLS = {"STARTED": "started", "SUCCEEDED": "succeeded", "FAILED": "failed"}
BOUND = (
    query,
    subscription,
    agent_type,
    task_type,
    step_type,
    EnumType("ToolInvocationStatus", CALLS),
    EnumType("LLMProvider", LLMProvider),
    EnumType("SideEffects", SideEffects),
    EnumType("StepType", StepType),
    EnumType("AgentStatus", AgentStatus),
    EnumType("TaskStatus", TaskStatus),
    EnumType("StepStatus", StepStatus),
)


@query.field("agent")
async def resolve_agent(_: None, info: GraphQLResolveInfo, id: str) -> Agent | None:
    context: Context = info.context
    return await use_cases.load_owned(context.principal, context.agent, id)


@query.field("agents")
async def resolve_agents(
    _: None, info: GraphQLResolveInfo, limit: int | None = None, next_token: str | None = None
) -> Connection[Agent]:
    context: Context = info.context
    paging = context.paging("agents", limit, next_token)
    ask = context.principal.user_id, paging.limit, paging.start
    found = await asyncio.to_thread(context.model.agents.list_for_user, *ask)
    for agent, _position in found.items:
        context.agent.know(agent.id, agent)
    return paging.connection(found)


@query.field("task")
async def resolve_task(
    _: None, info: GraphQLResolveInfo, agent_id: str, task_id: str
) -> Task | None:
    context: Context = info.context
    task = await use_cases.load_owned(context.principal, context.task, task_id)
    return task if task and task.agent_id == agent_id else None


@query.field("tasks")
async def resolve_tasks(
    _: None,
    info: GraphQLResolveInfo,
    agent_id: str,
    limit: int | None = None,
    next_token: str | None = None,
) -> Connection[Task]:
    context: Context = info.context
    agent = await use_cases.load_agent(context.principal, context.agent, agent_id)
    return await _tasks_of(agent, info.context, limit, next_token)


@agent_type.field("tasks")
async def resolve_tasks_of(
    agent: Agent, info: GraphQLResolveInfo, limit: int | None = None, next_token: str | None = None
) -> Connection[Task]:
    return await _tasks_of(agent, info.context, limit, next_token)


async def _tasks_of(
    agent: Agent, context: Context, limit: int | None, next_token: str | None
) -> Connection[Task]:
    paging = context.paging(f"tasks {agent.id}", limit, next_token)
    ask = agent.id, paging.limit, paging.start
    found = await asyncio.to_thread(context.model.tasks.list_for_agent, *ask)
    for task, _position in found.items:
        context.task.know(task.id, task)
    return paging.connection(found)


@agent_type.field("configuration")
def resolve_configuration(agent: Agent, _: GraphQLResolveInfo) -> AgentConfiguration:
    return AgentConfiguration.model_validate(agent.configuration)


@task_type.field("agent")
async def resolve_agent_of(task: Task, info: GraphQLResolveInfo) -> Agent | None:
    context: Context = info.context
    return await use_cases.load_owned(context.principal, context.agent, task.agent_id)


@step_type.field("toolInvocations")
async def resolve_calls_of(step: TaskStep, info: GraphQLResolveInfo) -> list[ToolInvocation]:
    context: Context = info.context
    return (step.calls and await context.calls.load(step.calls)) or []


@subscription.field("agentStatusUpdated")
def resolve_agent_status(update: Update, _: GraphQLResolveInfo, **_arguments: str) -> AgentStatus:
    return AgentStatus(update.value["status"])


@subscription.field("taskProgressUpdated")
def resolve_task_progress(update: Update, _: GraphQLResolveInfo, **_arguments: str) -> TaskProgress:
    return TaskProgress.model_validate(update.value)
