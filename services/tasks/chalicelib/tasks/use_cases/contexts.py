"""What an agent knows when it answers, and how it is kept within its bounds."""

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from chalicelib.tasks.models import AgentSnapshot, TaskFile, step_id
from chalicelib.tasks.models.contexts import (
    MAX_FACT_CHARS,
    MAX_SUMMARY_CHARS,
    Checkpoint,
    Context,
    ContextDetails,
    Fact,
    Memory,
    MemoryDetails,
    MemoryPolicy,
    WorkState,
    dumped,
    estimated_tokens,
    tokens_of,
)
from chalicelib.tasks.models.conversations import Message, MessageStatus, Session, SessionNotFound
from chalicelib.tasks.repository import Store
from chalicelib.tasks.use_cases import agents
from chalicelib.tasks.work import Deadline, Job
from common.clock import timestamp
from common.dynamo import AlreadyHandled, retry_conflicts
from common.events.delivery import require_owner
from common.events.tasks import TaskCompletedV1
from common.principals import Principal

if TYPE_CHECKING:
    from chalicelib.tasks.runtime import Runtime


class Turn(Protocol):
    """The message that is being answered."""

    @property
    def agent(self) -> AgentSnapshot: ...
    @property
    def session(self) -> Session: ...
    @property
    def message(self) -> Message: ...

    def job(self, store: Store, deadline: Deadline, scope: str, **configuration: Any) -> Job: ...


class Known(NamedTuple):
    """What the model is given: the last of the messages is the one to answer."""

    system_prompt: str | None
    messages: list[dict[str, Any]]


def read_context(
    store: Store, principal: Principal, agent_id: str, session_id: str, consistent: bool
) -> ContextDetails:
    """Of one session."""
    agents.load_owned(store, principal, agent_id, may_be_cached=not consistent)
    if consistent:
        session = store.sessions.find(agent_id, session_id)
        found = session and (session, store.sessions.messages(session))
        memory = store.memories.get(agent_id)
    else:
        found = store.sessions.shown(agent_id, session_id)
        memory = store.memories.shown(agent_id)
    if not found:
        raise SessionNotFound(session_id)
    principal.require_owner(found[0].user_id, f"Session {session_id}")
    return Context(session=found[0], messages=found[1], memory=memory).shown


def read_memory(
    store: Store, principal: Principal, agent_id: str, consistent: bool
) -> ContextDetails:
    """Beyond single sessions: what the agent remembers, and how far its latest task is."""
    agents.load_owned(store, principal, agent_id, may_be_cached=not consistent)
    memory = store.memories.get(agent_id) if consistent else store.memories.shown(agent_id)
    latest, _ = store.tasks.list_for_agent(agent_id, 1, None)
    return ContextDetails(
        agent_id=agent_id,
        session_id=None,
        conversation_history=[],
        agent_memory=MemoryDetails.of(memory),
        task_state=_work_state(store.tasks.file(latest[0].id)) if latest else WorkState(),
        timestamp=timestamp(),
    )


def _work_state(file: TaskFile) -> WorkState:
    task = file.task
    checkpoints = [
        Checkpoint(
            step_id=step_id(index),
            state={"status": record.status.value, "output": _short(record.output or "")},
            timestamp=record.completed_at,
        )
        for index, record in sorted(file.records.items())
    ]
    names = ("id", "status", "current_step", "total_steps")
    variables = task.model_dump(mode="json", by_alias=True, include=set(names))
    return WorkState(variables=variables, checkpoints=checkpoints)


def remember_task(store: Store, event: TaskCompletedV1) -> None:
    """The result of a task is a fact for an agent that is to remember beyond sessions."""
    agent = store.agents.get(event.agent_id)
    if agent is None or agent.deleted or not MemoryPolicy.of(agent).is_persistent:
        return
    require_owner(event.user_id, agent.user_id)
    task = store.tasks.get(event.task_id)
    fact = Fact(
        id=task.id,
        content=f"{_short(task.description)} → {_short(event.result)}",
        source=f"task:{task.id}",
        timestamp=event.timestamp,
    )

    def attempt() -> None:
        memory = store.memories.get(event.agent_id)
        if any(known == fact for known in memory.facts):
            raise AlreadyHandled(event.event_id)
        store.memories.replace(memory, memory.with_fact(fact), event)

    retry_conflicts(attempt)


def prepare(
    store: Store,
    runtime: "Runtime",
    turn: Turn,
    deadline: Deadline,
    keep: Callable[[str, int], Session],
) -> Known:
    """Reads the context, and has what is too old for it summarised by the agent's own provider.
    `keep` stores a summary. Raises AgentFailed and OutOfTime."""
    policy = MemoryPolicy.of(turn.agent)
    memory = store.memories.get(turn.agent.id)
    before = [m for m in store.sessions.messages(turn.session) if m.number < turn.message.number]
    session = turn.session
    fixed = estimated_tokens(_system_prompt(turn.agent, session, memory, policy) or "")
    fixed += estimated_tokens(turn.message.content)
    if before and fixed + sum(map(tokens_of, before)) > policy.threshold:
        room = min(policy.threshold // 2, policy.threshold - fixed)
        older, before = _split(before, room)
        for part in _parts(older, policy.max_context_length):
            through = part[-1].number
            job = turn.job(store, deadline, f"summary-{through}", systemPrompt=None)
            summary = _summary(runtime, job, session, part)
            if policy.is_persistent:
                memory = _remember_session(store, turn.agent.id, session.id, summary)
            session = keep(summary, through)
    prompt = _system_prompt(turn.agent, session, memory, policy)
    return Known(prompt, [*_as_said(before), _said("user", turn.message.content)])


def _split(messages: list[Message], most: int) -> tuple[list[Message], list[Message]]:
    """The older and the newest, which have room for `most` tokens."""
    kept = 0
    for count, message in enumerate(reversed(messages)):
        kept += tokens_of(message)
        if kept > most:
            return messages[: len(messages) - count], messages[len(messages) - count :]
    return [], messages


def _parts(messages: list[Message], most: int) -> Iterator[list[Message]]:
    """As many at once as the model can read, at least one."""
    part: list[Message] = []
    for message in messages:
        if part and sum(map(tokens_of, part)) + tokens_of(message) > most:
            yield part
            part = []
        part.append(message)
    if part:
        yield part


def _summary(runtime: "Runtime", job: Job, session: Session, part: list[Message]) -> str:
    said = json.dumps([dumped(m) for m in part if _is_answered(m)], ensure_ascii=False)
    prompt = (
        "Summarise a conversation for the assistant who goes on with it: names, facts, wishes, "
        "decisions and what is still open. Write nothing but the summary, in at most "
        f"{MAX_SUMMARY_CHARS // 8} words.\n"
        f"<summary>{session.summary or ''}</summary>\n<conversation>{said}</conversation>"
    )
    return runtime.text(job, [_said("user", prompt)])[:MAX_SUMMARY_CHARS]


def _remember_session(store: Store, agent_id: str, session_id: str, summary: str) -> Memory:
    def attempt() -> Memory:
        before = store.memories.get(agent_id)
        after = before.with_session(session_id, summary)
        store.memories.replace(before, after)
        return after

    return retry_conflicts(attempt)


def remembering(store: Store, agent: AgentSnapshot) -> AgentSnapshot:
    """The agent as it goes about a task, with what its owner wants it to remember."""
    policy = MemoryPolicy.of(agent)
    if not policy.is_persistent:
        return agent
    prompt = _system_prompt(agent, None, store.memories.get(agent.id), policy)
    return agent.model_copy(
        update={"configuration": agent.configuration | {"systemPrompt": prompt}}
    )


def _system_prompt(
    agent: AgentSnapshot, session: Session | None, memory: Memory, policy: MemoryPolicy
) -> str | None:
    """The owner's own, and what is remembered. Data stands in tags, so that it reads as data."""
    parts = [agent.configuration.get("systemPrompt") or ""]
    others = memory.without_session(session.id if session else "").long_term
    if policy.is_persistent and (memory.facts or others):
        facts = [fact.content for fact in memory.facts]
        known = {"facts": facts, "otherConversations": list(others.values())}
        told = json.dumps(known, ensure_ascii=False)
        parts.append(f"What you remember:\n<memory>{told}</memory>")
    if session and session.summary:
        parts.append(f"Earlier in this conversation:\n<summary>{session.summary}</summary>")
    return "\n\n".join(filter(None, parts)) or None


def _as_said(messages: list[Message]) -> Iterator[dict[str, Any]]:
    """What was not answered is left out: models want an answer behind every question."""
    for message in filter(_is_answered, messages):
        assert message.answer is not None
        yield _said("user", message.content)
        yield _said("assistant", message.answer.content or "…")


def _is_answered(message: Message) -> bool:
    return message.status == MessageStatus.COMPLETED


def _said(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "content": [{"text": text}]}


def _short(text: str) -> str:
    half = MAX_FACT_CHARS // 2
    return text if len(text) <= half else text[: half - 1] + "…"
