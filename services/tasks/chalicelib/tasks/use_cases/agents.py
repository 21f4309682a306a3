"""The tasks service's own copy of agents, projected from the agents service's events."""

import time

from chalicelib.tasks.models import AgentNotFound, AgentSnapshot
from chalicelib.tasks.repository import Store
from common.dynamo import AlreadyHandled, retry_conflicts
from common.events.agents import AgentCreatedV1, AgentDeletedV1, AgentUpdatedV1
from common.events.delivery import require_owner
from common.principals import Principal

PROJECTION_LAG_SECONDS = 2.0
_POLL_SECONDS = 0.05
OfAgent = AgentCreatedV1 | AgentUpdatedV1 | AgentDeletedV1


def load_owned(
    store: Store, principal: Principal, agent_id: str, may_be_cached: bool = False
) -> AgentSnapshot:
    """The agent, if it is the caller's: 404 for a missing one, 403 for another user's.

    An agent created a moment ago may not have arrived here yet, so a missing one is waited for.
    """
    deadline = time.monotonic() + PROJECTION_LAG_SECONDS
    agent = (store.agents.shown if may_be_cached else store.agents.get)(agent_id)
    while agent is None and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        agent = store.agents.get(agent_id)
    if agent is None or agent.deleted:
        raise AgentNotFound(agent_id)
    principal.require_owner(agent.user_id, f"Agent {agent_id}")
    return agent


def keep_agent(store: Store, event: AgentCreatedV1 | AgentUpdatedV1) -> None:
    _keep(
        store,
        event,
        AgentSnapshot(
            id=event.agent_id,
            user_id=event.user_id,
            configuration=event.configuration,
            version=event.aggregate_version,
        ),
    )


def require_known_owner(store: Store, event: OfAgent) -> AgentSnapshot | None:
    """The agent as it is known. Raises Undeliverable if it is another's than the event says."""
    known = store.agents.get(event.agent_id)
    require_owner(event.user_id, known.user_id if known else event.user_id)
    return known


def forget_agent(store: Store, event: AgentDeletedV1) -> None:
    """Leaves a tombstone: an older event that arrives later must not bring the agent back."""
    _keep(
        store,
        event,
        AgentSnapshot(
            id=event.agent_id,
            user_id=event.user_id,
            configuration={},
            version=event.aggregate_version,
            deleted=True,
        ),
    )


def _keep(
    store: Store,
    event: OfAgent,
    now: AgentSnapshot,
) -> None:
    def attempt() -> None:
        known = require_known_owner(store, event)
        if known and known.version >= now.version:
            raise AlreadyHandled(event.event_id)
        store.agents.keep(known, now, event)

    retry_conflicts(attempt)
