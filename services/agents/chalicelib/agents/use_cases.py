"""What the agents service does."""

import json
from typing import Any

from chalicelib.agents.models import (
    ACTIVE,
    Agent,
    AgentConfiguration,
    AgentNotFound,
    AgentStatus,
    CreateAgentRequest,
    TaskState,
    UpdateAgentRequest,
)
from chalicelib.agents.repository import AgentRepository
from common.clock import new_id, timestamp
from common.dynamo import AlreadyHandled, retry_conflicts
from common.errors import Invalid, PreconditionFailed, TooLarge
from common.events.agents import (
    AgentCreatedV1,
    AgentDeletedV1,
    AgentStatusChangedV1,
    AgentUpdatedV1,
)
from common.events.base import Event
from common.events.delivery import require_owner
from common.idempotency import Once
from common.principals import Principal
from pydantic import ValidationError

MAX_CONFIGURATION_BYTES = 100 * 1024


def load_owned(
    agents: AgentRepository, principal: Principal, agent_id: str, may_be_cached: bool = False
) -> Agent:
    """The one owner check of this service: 404 for a missing agent, 403 for another user's."""
    agent = agents.shown(agent_id) if may_be_cached else agents.get(agent_id)
    principal.require_owner(agent.user_id, f"Agent {agent_id}")
    return agent


def create_agent(
    agents: AgentRepository, principal: Principal, request: CreateAgentRequest, once: Once | None
) -> Agent:
    now = timestamp()
    agent = Agent(
        id=new_id(),
        user_id=principal.user_id,
        name=request.name,
        configuration=_bounded(request.configuration),
        status=AgentStatus.IDLE,
        revision=1,
        created_at=now,
        updated_at=now,
        version=1,
    )
    created = AgentCreatedV1(
        agent_id=agent.id,
        name=agent.name,
        configuration=agent.configuration,
        timestamp=agent.created_at,
        **_about(agent),
    )
    answer = once and once.answering(201, agent, etag=agent.etag)
    agents.add(agent, created, answer, principal.quotas.quota("agents"))
    return agent


def update_agent(
    agents: AgentRepository,
    principal: Principal,
    agent_id: str,
    request: UpdateAgentRequest,
    if_match: str | None,
) -> Agent:
    def attempt() -> Agent:
        before = load_owned(agents, principal, agent_id)
        _require_match(before, if_match)
        after = before.model_copy(
            update={
                "name": request.name or before.name,
                "configuration": _merged(before.configuration, request.configuration),
                "revision": before.revision + 1,
                "updated_at": timestamp(),
                "version": before.version + 1,
            }
        )
        updated = AgentUpdatedV1(
            agent_id=after.id,
            name=after.name,
            configuration=after.configuration,
            timestamp=after.updated_at,
            **_about(after),
        )
        agents.replace(before, after, updated)
        return after

    return retry_conflicts(attempt)


def delete_agent(
    agents: AgentRepository, principal: Principal, agent_id: str, if_match: str | None
) -> None:
    def attempt() -> None:
        agent = load_owned(agents, principal, agent_id)
        _require_match(agent, if_match)
        last = agent.model_copy(update={"version": agent.version + 1})
        agents.remove(agent, AgentDeletedV1(agent_id=agent.id, **_about(last)))

    retry_conflicts(attempt)


def record_task(agents: AgentRepository, agent_id: str, cause: Event, state: TaskState) -> None:
    """Keeps the set of the agent's active tasks, and derives its status from it.

    Events may come twice and in any order: what is older than what is known changes nothing.
    """

    def attempt() -> None:
        before, known = agents.get_with_task(agent_id, cause.aggregate_id)
        if cause.aggregate_version <= known.version:
            raise AlreadyHandled(cause.event_id)
        require_owner(cause.user_id, before.user_id)
        after = _with_task(before, known.state, state, cause)
        changed = [_status_changed(before, after)] if after.status != before.status else []
        agents.record_task(before, after, known, state, cause, *changed)

    try:
        retry_conflicts(attempt)
    except AgentNotFound as gone:  # deleted meanwhile: there is no status left to derive
        raise AlreadyHandled(cause.event_id) from gone


def _with_task(before: Agent, was: TaskState | None, is_: TaskState, cause: Event) -> Agent:
    changes: dict[str, object] = {
        "active_tasks": before.active_tasks + (is_ in ACTIVE) - (was in ACTIVE),
        "waiting_tasks": before.waiting_tasks + (is_ == "waiting") - (was == "waiting"),
        "version": before.version + 1,
    }
    if is_ not in ACTIVE and cause.timestamp >= before.last_ended_at:
        changes |= {"last_ended_at": cause.timestamp, "last_outcome": is_}
    after = before.model_copy(update=changes)
    return after.model_copy(update={"status": after.derived_status()})


def _status_changed(before: Agent, after: Agent) -> AgentStatusChangedV1:
    return AgentStatusChangedV1(
        agent_id=after.id,
        old_status=before.status.value,
        new_status=after.status.value,
        **_about(after),
    )


def _about(agent: Agent) -> dict[str, Any]:
    return {
        "user_id": agent.user_id,
        "aggregate_id": agent.id,
        "aggregate_version": agent.version,
    }


def _require_match(agent: Agent, if_match: str | None) -> None:
    wanted = [tag.strip() for tag in (if_match or "*").split(",")]
    if "*" not in wanted and agent.etag not in wanted:
        raise PreconditionFailed("The agent has another revision", revision=agent.revision)


def _bounded(configuration: AgentConfiguration) -> dict[str, Any]:
    """Exactly what the client sent, not more: no field appears that was left out."""
    sent: dict[str, Any] = configuration.model_dump(mode="json", by_alias=True, exclude_unset=True)
    if len(json.dumps(sent).encode()) > MAX_CONFIGURATION_BYTES:
        raise TooLarge(f"The configuration is larger than {MAX_CONFIGURATION_BYTES} bytes")
    return sent


def _merged(stored: dict[str, Any], changes: dict[str, Any] | None) -> dict[str, Any]:
    if not changes:
        return stored
    try:
        merged = AgentConfiguration.from_client(json.dumps(stored | changes))
    except ValidationError as error:
        raise Invalid.from_validation(error, prefix="configuration") from error
    return _bounded(merged)
