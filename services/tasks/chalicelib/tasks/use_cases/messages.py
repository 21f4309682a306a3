"""What clients do with conversations: say something, read what was said, delete it."""

from typing import Any
from uuid import uuid4

from chalicelib.tasks.models import AgentSnapshot
from chalicelib.tasks.models.contexts import MemoryPolicy
from chalicelib.tasks.models.conversations import (
    MAX_PENDING,
    Message,
    MessageNotFound,
    SendMessageRequest,
    Session,
    SessionNotFound,
    TooManyPending,
    place_of,
)
from chalicelib.tasks.repository import Store
from chalicelib.tasks.repository.sessions import expiry
from chalicelib.tasks.use_cases import agents, usage
from common import tracing
from common.clock import new_id, timestamp
from common.context import correlation_id
from common.cursors import Position
from common.dynamo import retry_conflicts
from common.events.conversations import SessionDeletedV1, UserInteractionV1
from common.idempotency import Once
from common.principals import Principal


def send_message(
    store: Store,
    principal: Principal,
    agent_id: str,
    request: SendMessageRequest,
    once: Once | None,
) -> Message:
    """What the user says is kept, and the agent told of it, in one transaction. Raises
    QuotaExceeded and TooManyPending."""
    agent = agents.load_owned(store, principal, agent_id)
    usage.require_tokens(store, principal, once)
    store.tasks.replay(once)
    session_id = request.session_id or new_id()

    def attempt() -> Message:
        last = store.sessions.last(agent_id, session_id)
        live = last if last and last.is_live else None
        if live and live.pending >= MAX_PENDING:
            raise TooManyPending
        after = _with_message(live or _begun(agent, session_id, last), agent, principal)
        message = Message(
            session_key=after.key,
            number=after.messages,
            agent_id=agent.id,
            session_id=after.id,
            user_id=after.user_id,
            content=request.content,
            created_at=after.updated_at,
            correlation_id=correlation_id.get(),
            traceparent=tracing.traceparent(),
        )
        facts = about(after, message) | {"timestamp": message.created_at}
        said = UserInteractionV1(content=message.content, **facts)
        answer = once and once.answering(202, message)
        store.sessions.add_message(last, after, message, said, answer)
        return message

    return retry_conflicts(attempt)


def load_owned(store: Store, principal: Principal, agent_id: str, session_id: str) -> Session:
    """The one owner check for sessions: the agent's owner is theirs."""
    agents.load_owned(store, principal, agent_id)
    session = store.sessions.find(agent_id, session_id)
    if session is None:
        raise SessionNotFound(session_id)
    principal.require_owner(session.user_id, f"Session {session_id}")
    return session


def get_message(store: Store, principal: Principal, agent_id: str, message_id: str) -> Message:
    key, number = place_of(message_id)
    agents.load_owned(store, principal, agent_id)
    message = store.sessions.message(key, number)
    if message is None or message.agent_id != agent_id:
        raise MessageNotFound(message_id)
    principal.require_owner(message.user_id, f"Message {message_id}")
    session = store.sessions.find(agent_id, message.session_id)
    if session is None or session.key != key:
        raise MessageNotFound(message_id)
    return message


def named_or_latest(
    store: Store, principal: Principal, agent_id: str, session_id: str | None
) -> Session | None:
    """The session that is named, else the one that was used last; None if there was none."""
    if session_id:
        return load_owned(store, principal, agent_id, session_id)
    found, _ = list_sessions(store, principal, agent_id, 1, None)
    return found[0] if found else None


def list_sessions(
    store: Store, principal: Principal, agent_id: str, limit: int, start: Position | None
) -> tuple[list[Session], Position | None]:
    agent = agents.load_owned(store, principal, agent_id)
    return store.sessions.list_for_agent(agent.id, limit, start)


def delete_session(store: Store, principal: Principal, agent_id: str, session_id: str) -> None:
    """At once for clients; what was said is purged a moment later."""

    def attempt() -> None:
        delete(store, load_owned(store, principal, agent_id, session_id))

    retry_conflicts(attempt)


def delete_sessions_of(store: Store, agent_id: str) -> None:
    """All that a deleted agent was told, and what it remembers."""
    store.memories.remove(agent_id)
    start: Position | None = None
    while True:
        found, start = store.sessions.list_for_agent(agent_id, limit=100, start=start)
        for each in found:
            retry_conflicts(lambda session_id=each.id: _delete(store, agent_id, session_id))  # type: ignore[misc]
        if not start:
            return


def purge(store: Store, event: SessionDeletedV1) -> None:
    """What was said in a session that is gone, and what the model was asked for it. Again for an
    event that comes again: nothing is left to be done then."""
    for message_id in store.sessions.purge(event.aggregate_id):
        store.journals.purge(message_id)

    def attempt() -> None:
        memory = store.memories.get(event.agent_id)
        if event.session_id in memory.long_term:
            store.memories.replace(memory, memory.without_session(event.session_id))

    retry_conflicts(attempt)


def delete(store: Store, session: Session) -> None:
    last = session.advanced()
    gone = SessionDeletedV1(
        agent_id=last.agent_id,
        session_id=last.id,
        user_id=last.user_id,
        aggregate_id=last.key,
        aggregate_version=last.version,
    )
    store.sessions.remove(session, gone)


def about(session: Session, message: Message) -> dict[str, Any]:
    """The fields that every event of a message carries."""
    return {
        "agent_id": session.agent_id,
        "session_id": session.id,
        "message_id": message.id,
        "user_id": session.user_id,
        "aggregate_id": session.key,
        "aggregate_version": session.version,
        "correlation_id": message.correlation_id,
    }


def _delete(store: Store, agent_id: str, session_id: str) -> None:
    session = store.sessions.last(agent_id, session_id)
    if session:
        delete(store, session)


def _begun(agent: AgentSnapshot, session_id: str, last: Session | None) -> Session:
    """A new session, in the place of one that has expired if there is one."""
    now = timestamp()
    return Session(
        id=session_id,
        agent_id=agent.id,
        user_id=agent.user_id,
        created_at=now,
        updated_at=now,
        key=uuid4().hex,
        version=last.version if last else 0,
    )


def _with_message(session: Session, agent: AgentSnapshot, principal: Principal) -> Session:
    return session.advanced(
        messages=session.messages + 1,
        updated_at=timestamp(),
        expires_at=expiry(MemoryPolicy.of(agent).is_persistent),
        tokens_per_day=principal.quotas.tokens_per_day,
    )
