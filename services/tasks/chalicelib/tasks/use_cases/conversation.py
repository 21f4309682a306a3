"""The agent's part of a conversation: one answer after the other, each given once.

Whoever works on a session holds its claim. Who finds it held leaves: the holder looks again before
it ends, so nothing that was said meanwhile is left out. A claim outlives its holder only until the
holder's own delivery comes again.
"""

import logging
import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from chalicelib.tasks.models import AgentSnapshot
from chalicelib.tasks.models.contexts import MemoryPolicy
from chalicelib.tasks.models.conversations import (
    MAX_ANSWER,
    Answer,
    Message,
    MessageError,
    MessageStatus,
    Session,
)
from chalicelib.tasks.models.failures import AgentFailed, OutOfTime, Refused
from chalicelib.tasks.models.journal import Place
from chalicelib.tasks.repository import Store
from chalicelib.tasks.repository.sessions import expiry
from chalicelib.tasks.use_cases import contexts
from chalicelib.tasks.use_cases.messages import about
from chalicelib.tasks.work import Account, Deadline, Job
from common import tracing
from common.clock import epoch_in, new_id, timestamp
from common.context import correlation_id
from common.dynamo import retry_conflicts
from common.events.base import Event
from common.events.conversations import AgentRespondedV1, ResponseFailedV1
from common.events.tasks import ErrorOccurredV1

if TYPE_CHECKING:
    from chalicelib.tasks.runtime import Runtime

MAX_CHARS_IN_EVENT = 20_000
log = logging.getLogger(__name__)


class Superseded(Exception):
    """The session was deleted, or somebody else works on it now."""


class Turn(NamedTuple):
    """One message that waits for its answer, and the claim under which it is answered."""

    agent: AgentSnapshot
    session: Session
    message: Message

    def job(self, store: Store, deadline: Deadline, scope: str, **configuration: Any) -> Job:
        journal = store.journals.open(self.message.id, scope)
        account = Account(self.session.user_id, self.agent.id, self.session.tokens_per_day)
        changed = {"configuration": self.agent.configuration | configuration}
        return Job(self.agent.model_copy(update=changed), account, journal, deadline)


def converse(
    store: Store, runtime: "Runtime", agent_id: str, session_id: str, deadline: Deadline
) -> None:
    """Answers whatever waits in the session. Raises OutOfTime if that takes another invocation."""
    while turn := _claim(store, agent_id, session_id, deadline):
        correlation_id.set(turn.message.correlation_id)
        try:
            with tracing.continued(turn.message.traceparent), tracing.span("answer message"):
                answer = _answer(store, runtime, turn, deadline)
                _end(store, turn, answer)
        except OutOfTime:
            _change(store, turn.session, claim=None, claimed_until=0)
            raise
        except Superseded:
            log.info("superseded", extra={"messageId": turn.message.id})
            return


def give_up(store: Store, agent_id: str, session_id: str) -> None:
    """Ends the message that cannot be answered as failed, so that the session can go on."""
    turn = _claim(store, agent_id, session_id, lambda: 0, by_force=True)
    if turn:
        failure = AgentFailed("EXECUTION_FAILED", "The answer broke off; asking again may help")
        _end(store, turn, _failed(failure))


def _claim(
    store: Store, agent_id: str, session_id: str, deadline: Deadline, by_force: bool = False
) -> Turn | None:
    """None if nothing waits, or somebody else works on it."""

    def attempt() -> Turn | None:
        agent, session = store.agents.get(agent_id), store.sessions.find(agent_id, session_id)
        if agent is None or agent.deleted or session is None or not session.pending:
            return None
        if session.claimed_until > time.time() and not by_force:
            return None
        message = store.sessions.message(session.key, session.answered + 1)
        until = epoch_in(math.ceil(deadline()))
        held = session.advanced(claim=new_id(), claimed_until=until)
        if message is None:  # it has expired, and is not to be answered any more
            store.sessions.replace(session, session.advanced(answered=session.answered + 1))
            return attempt()
        store.sessions.replace(session, held)
        return Turn(agent, held, message)

    return retry_conflicts(attempt)


def _answer(store: Store, runtime: "Runtime", turn: Turn, deadline: Deadline) -> Answer:
    def keep(summary: str, through: int) -> Session:
        return _change(store, turn.session, summary=summary, summarized=through)

    try:
        known = contexts.prepare(store, runtime, turn, deadline, keep)
        job = turn.job(store, deadline, "answer", systemPrompt=known.system_prompt)
        said = runtime.answer(job, known.messages, turn.message.id, _admission(turn.agent))
    except AgentFailed as failure:
        log.warning("the agent failed", extra={"messageId": turn.message.id, "code": failure.code})
        return _failed(failure)
    return Answer(
        status=MessageStatus.COMPLETED,
        content=_bounded(said),
        tool_calls=len(job.journal.calls),
        timestamp=timestamp(),
    )


def _admission(agent: AgentSnapshot) -> Callable[..., None]:
    """Nobody waits for a person in a conversation: what needs an approval is for tasks."""

    def admit(place: Place, tool: str, parameters: dict[str, Any]) -> None:
        if agent.asks_before("tools", tool):
            raise Refused("This needs a person's approval, which only a task can wait for")

    return admit


def _end(store: Store, turn: Turn, answer: Answer) -> None:
    expires_at = expiry(MemoryPolicy.of(turn.agent).is_persistent)

    def write(before: Session, after: Session) -> None:
        events = _events(after, turn.message, answer)
        store.sessions.add_answer(before, after, turn.message, answer, *events)

    _change(
        store,
        turn.session,
        write,
        answered=turn.message.number,
        claim=None,
        claimed_until=0,
        updated_at=answer.timestamp,
        expires_at=expires_at,
    )


def _change(
    store: Store,
    held: Session,
    write: Callable[[Session, Session], None] | None = None,
    **changes: object,
) -> Session:
    """Changes the session as it is by now, if it still is ours. Raises Superseded."""

    def attempt() -> Session:
        now = store.sessions.last(held.agent_id, held.id)
        if now is None or (now.key, now.claim) != (held.key, held.claim):
            raise Superseded
        after = now.advanced(**changes)
        (write or store.sessions.replace)(now, after)
        return after

    return retry_conflicts(attempt)


def _events(session: Session, message: Message, answer: Answer) -> list[Event]:
    facts: dict[str, Any] = about(session, message) | {"timestamp": answer.timestamp}
    if answer.error is None:
        said = answer.content or ""
        shown = said[:MAX_CHARS_IN_EVENT]
        return [AgentRespondedV1(content=shown, content_truncated=shown != said, **facts)]
    code, words = answer.error.code, answer.error.message
    occurred = ErrorOccurredV1(
        component="tasks.conversation",
        error_type=code,
        error_message=words,
        context={"agentId": session.agent_id, "messageId": message.id},
        user_id=session.user_id,
        aggregate_id=session.key,
        aggregate_version=session.version,
        correlation_id=message.correlation_id,
    )
    return [ResponseFailedV1(error_code=code, error_message=words, **facts), occurred]


def _failed(failure: AgentFailed) -> Answer:
    error = MessageError(code=failure.code, message=failure.message)
    return Answer(status=MessageStatus.FAILED, error=error, timestamp=timestamp())


def _bounded(text: str) -> str:
    if len(text) <= MAX_ANSWER:
        return text
    return text[:MAX_ANSWER] + f" … [cut, {len(text)} characters in all]"
