"""Which events the watchers of an agent hear of as updates; text on its way is none.

To push an event, add "status" to its consumers in `common/events/catalogue.py`; if it is not about
the one agent of its field `agent_id`, say here which agents it is about.
"""

from collections.abc import Callable, Iterable
from typing import Any

from common.events.base import Event
from common.events.catalogue import consumed_by
from common.events.collaborations import AgentMessageSentV1
from common.events.tasks import TextGeneratedV1

AgentsOf = Callable[[Any], Iterable[str]]

_OTHERS: dict[type[Event], AgentsOf] = {
    **{
        event: lambda its: dict.fromkeys(its.agent_ids)
        for event in consumed_by("status")
        if "agent_ids" in event.model_fields
    },
    AgentMessageSentV1: lambda its: (its.agent_id, its.to_agent_id),
}

AGENTS_OF: dict[type[Event], AgentsOf] = {
    **{
        event: lambda its: (its.agent_id,)
        for event in consumed_by("status")
        if "agent_id" in event.model_fields and event is not TextGeneratedV1
    },
    **_OTHERS,
}
