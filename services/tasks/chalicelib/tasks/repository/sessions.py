"""Sessions and their messages.

A session is `AGENT#<agent>`/`SESSION#<id>`, listed by the index. What is said in it is only ever
added to, in a partition of its own: `MESSAGE#<number>`, and `MESSAGE#<number>#ANSWER` behind it.
"""

import time
from collections.abc import Callable, Iterable, Sequence

from chalicelib.tasks.models.contexts import SESSION_KEPT_SECONDS
from chalicelib.tasks.models.conversations import Answer, Message, Session
from common.cache import CONTEXT, Cache, Entry
from common.clock import epoch_in
from common.cursors import Position
from common.dynamo import Action, Delete, Put, Table
from common.events.base import Event
from common.idempotency import Once
from common.rows import Row

_KEYS = {"PK", "SK", "GSI1PK", "GSI1SK", "TTL"}


class Sessions:
    """Every write of a session ends what the cache has of it."""

    def __init__(self, table: Table, cache: Callable[[], Cache]) -> None:
        self._table = table
        self._cache = cache

    def find(self, agent_id: str, session_id: str) -> Session | None:
        """One that has expired is none."""
        found = self.last(agent_id, session_id)
        return found if found and found.is_live else None

    def last(self, agent_id: str, session_id: str) -> Session | None:
        """Also one that has expired: a new one takes its place."""
        row = self._table.get(f"AGENT#{agent_id}", f"SESSION#{session_id}")
        return _session(row) if row else None

    def list_for_agent(
        self, agent_id: str, limit: int, start: Position | None
    ) -> tuple[list[Session], Position | None]:
        """What was used last comes first."""
        page = self._table.query(
            f"SESSIONS#{agent_id}", index="GSI1", limit=limit, start=start, forward=False
        )
        found = [_session(row) for row in page.rows]
        return [session for session in found if session.is_live], page.position

    def add_message(
        self,
        before: Session | None,
        after: Session,
        message: Message,
        event: Event,
        once: Once | None,
    ) -> None:
        """Raises Conflict unless the session is stored as `before`."""
        rows = [Put(_message_row(message, after.expires_at)), _put(before, after)]
        self._write(after, *rows, events=[event], once=once)

    def replace(self, before: Session, after: Session) -> None:
        self._write(after, _put(before, after))

    def add_answer(
        self, before: Session, after: Session, message: Message, answer: Answer, *events: Event
    ) -> None:
        """A message is answered once: a second answer is a Conflict."""
        row = _answer_row(message, answer, after.expires_at)
        self._write(after, Put(row), _put(before, after), events=events)

    def remove(self, session: Session, deleted: Event) -> None:
        """The session; what was said in it is purged when the event arrives."""
        gone = Delete(f"AGENT#{session.agent_id}", f"SESSION#{session.id}", session.version)
        self._write(session.advanced(), gone, events=[deleted])

    def message(self, key: str, number: int) -> Message | None:
        rows = self._table.query(f"SESSION#{key}", prefix=_number(number)).rows
        return next(iter(_messages(key, rows)), None)

    def messages(self, session: Session) -> list[Message]:
        """Those that its summary does not stand for, in order."""
        rows, start = [], None
        while True:
            page = self._table.query(
                f"SESSION#{session.key}",
                after=f"{_number(session.summarized)}#Z",
                prefix="MESSAGE#",
                start=start,
            )
            rows += page.rows
            start = page.position
            if not start:
                return _messages(session.key, rows)

    def page(
        self, session: Session, limit: int, start: Position | None
    ) -> tuple[list[Message], Position | None]:
        """Newest first; a page ends early where DynamoDB's does, after a megabyte."""
        page = self._table.query(
            f"SESSION#{session.key}",
            prefix="MESSAGE#",
            limit=2 * limit,
            start=start,
            forward=False,
        )
        found = _messages(session.key, reversed(page.rows))[::-1][:limit]
        if not found or found[-1].number == 1:
            return found, None
        return found, {"PK": f"SESSION#{session.key}", "SK": _number(found[-1].number)}

    def shown(self, agent_id: str, session_id: str) -> tuple[Session, list[Message]] | None:
        """A session and its `messages`, from the cache if they are there."""

        def load() -> Entry | None:
            session = self.find(agent_id, session_id)
            if session is None:
                return None
            messages = [_flat(message) for message in self.messages(session)]
            return Entry(session.version, [_flat(session), messages])

        cached = self._cache().read(CONTEXT, f"{agent_id}/{session_id}", load)
        if cached is None:
            return None
        session = Session.model_validate(cached[0])
        messages = [Message.model_validate(fields) for fields in cached[1]]
        return (session, messages) if session.is_live else None

    def purge(self, key: str) -> list[str]:
        """Removes what was said in a session that is gone; the ids of its messages."""
        removed: list[str] = []
        while rows := self._table.query(f"SESSION#{key}").rows:
            self._table.delete_batch([(row["PK"], row["SK"]) for row in rows])
            removed += [f"{key}-{row['number']}" for row in rows if "number" in row]
        return removed

    def _write(
        self,
        after: Session,
        *actions: Action,
        events: Sequence[Event] = (),
        once: Once | None = None,
    ) -> None:
        self._table.write(*actions, events=events, once=once)
        self._cache().forget(CONTEXT, f"{after.agent_id}/{after.id}", after.version)


def expiry(persistent: bool) -> int | None:
    """Unless the owner wants it kept, what was said is forgotten after a week."""
    return None if persistent else epoch_in(SESSION_KEPT_SECONDS)


def _put(before: Session | None, after: Session) -> Put:
    return Put(_session_row(after), version=before.version if before else None)


def _number(number: int) -> str:
    return f"MESSAGE#{number:08d}"


def _session_row(session: Session) -> Row:
    fields = {name: getattr(session, name) for name in Session.model_fields}
    return {
        "PK": f"AGENT#{session.agent_id}",
        "SK": f"SESSION#{session.id}",
        "GSI1PK": f"SESSIONS#{session.agent_id}",
        "GSI1SK": f"{session.updated_at}#{session.id}",
        "TTL": session.expires_at,
        **fields,
    }


def _session(row: Row) -> Session:
    return Session.model_validate({name: row[name] for name in row.keys() - _KEYS})


def _message_row(message: Message, expires_at: int | None) -> Row:
    names = ("agent_id", "session_id", "user_id", "content", "created_at")
    links = ("correlation_id", "traceparent")
    return {
        "PK": f"SESSION#{message.session_key}",
        "SK": _number(message.number),
        "TTL": expires_at,
        "number": message.number,
        **{name: getattr(message, name) for name in (*names, *links)},
    }


def _answer_row(message: Message, answer: Answer, expires_at: int | None) -> Row:
    return {
        "PK": f"SESSION#{message.session_key}",
        "SK": f"{_number(message.number)}#ANSWER",
        "TTL": expires_at,
        "answer": answer.model_dump_json(),
    }


def _messages(key: str, rows: Iterable[Row]) -> list[Message]:
    """From rows in the order of their keys; an answer whose message is not among them is not."""
    found: dict[str, Message] = {}
    now = time.time()
    for row in rows:
        if row.get("TTL", now) < now:
            continue
        place = row["SK"].removesuffix("#ANSWER")
        if place == row["SK"]:
            fields = {name: row[name] for name in row.keys() - _KEYS}
            found[place] = Message(session_key=key, **fields)
        elif place in found:
            answer = Answer.model_validate_json(row["answer"])
            found[place] = found[place].model_copy(update={"answer": answer})
    return list(found.values())


def _flat(model: Session | Message) -> dict[str, object]:
    """Every field, as JSON, those too that clients are not shown."""
    fields = {name: getattr(model, name) for name in type(model).model_fields}
    if isinstance(model, Message) and model.answer:
        fields["answer"] = model.answer.model_dump(mode="json")
    return fields
