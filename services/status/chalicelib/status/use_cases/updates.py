"""Every update of an agent gets a number, and reaches whoever watches the agent."""

import time
from collections.abc import Iterable, Iterator
from itertools import islice

from chalicelib.status.models import AgentNotFound, AgentState, News, Update, Updates, Watched
from chalicelib.status.repository import StatusRepository
from chalicelib.status.use_cases.connections import end
from common.clock import timestamp
from common.dynamo import AlreadyHandled, retry_conflicts
from common.events.base import Event
from common.events.delivery import require_owner
from common.events.tasks import TextGeneratedV1
from common.principals import Principal
from common.sockets import Frame, Sockets, encoded

Pushed = tuple[Watched, Update]
PATIENCE_SECONDS = 2.0
POLL_SECONDS = 0.05
TEXT_FIELDS = {
    "event_id",
    "agent_id",
    "task_id",
    "step",
    "offset",
    "text",
    "timestamp",
    "traceparent",
}
MAX_REPLAYED = 1000
MAX_REPLAYED_BYTES = 4 * 1024 * 1024
"""What one invocation can send in its time; the rest is to be had page by page over HTTP."""
MAX_PAGE_BYTES = 1024 * 1024
"""With one more update this is far below what a function may answer."""


def load_owned(status: StatusRepository, principal: Principal, agent_id: str) -> AgentState:
    """The one owner check of this service: 404 for a missing agent, 403 for another user's.

    An agent created a moment ago may not have been heard of yet: it gets a little time.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (state := status.agent(agent_id)) is None and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    if state is None or state.deleted:
        raise AgentNotFound(agent_id)
    principal.require_owner(state.user_id, f"Agent {agent_id}")
    return state


def record(status: StatusRepository, agent_ids: Iterable[str], cause: Event) -> list[Pushed]:
    """Every agent that the event is about gets it as its next update, which is to be pushed. A
    crash after the commit must not lose that: an event that comes again is pushed again, and
    clients drop what they have by its `seq`."""
    agents = list(dict.fromkeys(agent_ids))

    def attempt() -> list[News]:
        now = timestamp()
        news = [News.of(cause, _watched(status, each, cause, now), now) for each in agents]
        status.append(news, cause)
        return news

    try:
        return [(each.before, each.update) for each in retry_conflicts(attempt)]
    except AlreadyHandled:
        recorded = _recorded(status, agents, cause)
        if not recorded:
            raise
        return recorded


def push(status: StatusRepository, sockets: Sockets, recorded: Iterable[Pushed]) -> None:
    """To be called after the commit: who subscribes later finds the update in the table."""
    for watched, update in recorded:
        _send(status, sockets, watched, update.frame())


def pass_on(status: StatusRepository, sockets: Sockets, event: TextGeneratedV1) -> None:
    """Text on its way is shown and not kept: it takes no number and no write. What it becomes, the
    step's output, is an update like any other."""
    watched = status.watched(event.agent_id)
    if watched is None:
        return
    require_owner(event.user_id, watched.state.user_id)
    told = event.model_dump(by_alias=True, include=TEXT_FIELDS, exclude_none=True)
    _send(status, sockets, watched, {"type": "text"} | told)


def _send(status: StatusRepository, sockets: Sockets, watched: Watched, frame: Frame) -> None:
    lost = sockets.post_to_all(watched.audience, frame)
    for connection_id in (*lost, *watched.over):
        end(status, sockets, connection_id)


def page(status: StatusRepository, state: AgentState, after: int, limit: int) -> Updates:
    """The first updates after one, `limit` of them or what a page can hold."""
    updates = status.updates(state.agent_id, after, state.seq, limit)
    items = list(islice(_within(updates, MAX_PAGE_BYTES), limit))
    first = items[0].seq if items else state.seq + 1
    return Updates(items=items, seq=state.seq, gap=first > after + 1)


def replay(status: StatusRepository, state: AgentState, after: int) -> Iterator[Frame]:
    """What came after one update. Instead of what has expired, or is too much to be sent, a gap
    is named, and what the agent is now."""
    start = max(after, state.seq - MAX_REPLAYED)
    reached = after
    for update in _within(status.updates(state.agent_id, start, state.seq), MAX_REPLAYED_BYTES):
        if update.seq > reached + 1:
            yield from _gap(state, reached + 1, update.seq - 1, is_kept=start > reached)
        yield update.frame()
        reached = update.seq
    if reached < state.seq:
        yield from _gap(state, reached + 1, state.seq, is_kept=reached > after)


def _gap(state: AgentState, start: int, end: int, is_kept: bool) -> Iterator[Frame]:
    reason = "tooMany" if is_kept else "expired"
    gap: Frame = {"type": "gap", "agentId": state.agent_id, "from": start, "to": end}
    yield gap | {"reason": reason}
    yield {"type": "snapshot"} | state.wire()


def _within(updates: Iterator[Update], most: int) -> Iterator[Update]:
    """As many as make up so many bytes, and always the first."""
    size = 0
    for update in updates:
        yield update
        size += len(encoded(update.wire()))
        if size >= most:
            return


def _watched(status: StatusRepository, agent_id: str, cause: Event, now: str) -> Watched:
    """Of an agent that was never heard of, all that is known is whose it is. Raises Undeliverable
    for another's."""
    watched = status.watched(agent_id)
    if watched is None:
        return Watched(AgentState(agent_id=agent_id, user_id=cause.user_id, updated_at=now))
    require_owner(cause.user_id, watched.state.user_id)
    return watched


def _recorded(status: StatusRepository, agent_ids: Iterable[str], cause: Event) -> list[Pushed]:
    found = ((status.watched(each), status.update_for(each, cause.event_id)) for each in agent_ids)
    return [(watched, update) for watched, update in found if watched and update]
