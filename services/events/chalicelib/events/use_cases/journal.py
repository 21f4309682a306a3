"""The journal: what is recorded, and who may read it."""

from collections.abc import Sequence

from chalicelib.events.models.journal import EventsQuery, JournalEntry
from chalicelib.events.repository.journal import JournalRepository
from common.cursors import Position
from common.events.base import Event
from common.principals import Principal

Listed = tuple[list[JournalEntry], Position | None]


def record_events(journal: JournalRepository, events: Sequence[Event]) -> None:
    """One that comes again is recorded over itself."""
    journal.add([JournalEntry.of(event) for event in events])


def list_events(
    journal: JournalRepository,
    principal: Principal,
    wanted: EventsQuery,
    limit: int,
    start: Position | None,
) -> Listed:
    """The type is filtered within a page: an empty page with a position is not the end."""
    if wanted.task_id:
        found = load_owned(principal, journal.list_for_task(wanted.task_id, limit, start))
    elif wanted.agent_id:
        found = load_owned(principal, journal.list_for_agent(wanted.agent_id, limit, start))
    else:
        found = journal.list_for_user(principal.user_id, limit, start)
    entries, position = found
    return [entry for entry in entries if wanted.passes(entry)], position


def load_owned(principal: Principal, found: Listed) -> Listed:
    """The one owner check of this service. An agent and a task have one owner each: a page of
    somebody else's shows neither its entries nor that there are more of them."""
    entries, position = found
    owned = [entry for entry in entries if entry.user_id == principal.user_id]
    return owned, position if len(owned) == len(entries) else None
