"""The fields of the schema that take more than reading an attribute."""

from dataclasses import dataclass

from ariadne import EnumType, ObjectType, QueryType
from chalicelib.graphql import use_cases
from chalicelib.graphql.connections import Connection, Paging
from chalicelib.graphql.models.agents import (
    Agent,
    AgentConfiguration,
    AgentStatus,
    LLMProvider,
)
from chalicelib.graphql.models.tasks import Task, TaskStatus
from chalicelib.graphql.repository import AgentRepository, TaskRepository
from common.cursors import Cursors
from common.principals import Principal
from graphql import GraphQLResolveInfo

query, agent_type = QueryType(), ObjectType("Agent")
BOUND = (
    query,
    agent_type,
    EnumType("LLMProvider", LLMProvider),
    EnumType("AgentStatus", AgentStatus),
    EnumType("TaskStatus", TaskStatus),
)


@dataclass(frozen=True)
class Context:
    principal: Principal
    agents: AgentRepository
    tasks: TaskRepository
    cursors: Cursors
    request_id: str

    def paging(self, of: str, limit: int | None, next_token: str | None) -> Paging:
        return Paging(self.cursors, f"{self.principal.user_id} graphql {of}", limit, next_token)


@query.field("agent")
def resolve_agent(_: None, info: GraphQLResolveInfo, id: str) -> Agent | None:
    context: Context = info.context
    return use_cases.find_agent(context.agents, context.principal, id)


@query.field("agents")
def resolve_agents(
    _: None, info: GraphQLResolveInfo, limit: int | None = None, next_token: str | None = None
) -> Connection[Agent]:
    context: Context = info.context
    paging = context.paging("agents", limit, next_token)
    user_id = context.principal.user_id
    return paging.connection(context.agents.list_for_user(user_id, paging.limit, paging.start))


@query.field("task")
def resolve_task(_: None, info: GraphQLResolveInfo, agent_id: str, task_id: str) -> Task | None:
    context: Context = info.context
    return use_cases.find_task(context.tasks, context.principal, agent_id, task_id)


@query.field("tasks")
def resolve_tasks(
    _: None,
    info: GraphQLResolveInfo,
    agent_id: str,
    limit: int | None = None,
    next_token: str | None = None,
) -> Connection[Task]:
    context: Context = info.context
    paging = context.paging(f"tasks {agent_id}", limit, next_token)
    agent = use_cases.get_agent(context.agents, context.principal, agent_id)
    return paging.connection(context.tasks.list_for_agent(agent.id, paging.limit, paging.start))


@agent_type.field("configuration")
def resolve_configuration(agent: Agent, _: GraphQLResolveInfo) -> AgentConfiguration:
    return AgentConfiguration.model_validate(agent.configuration)
