"""Messages from agent to agent: sent as events, kept in the inbox of whom they are for, and seen by
that agent's next task."""

import logging

from chalicelib.tasks.models import AgentNotFound, Task, TaskStatus
from chalicelib.tasks.models.inbox import (
    MAX_CHARS_OF_A_TASK,
    AgentMessage,
    TellAgentRequest,
    ToItself,
)
from chalicelib.tasks.repository import Store
from chalicelib.tasks.use_cases import agents
from chalicelib.tasks.use_cases.about import advanced
from common.clock import new_id
from common.context import correlation_id
from common.cursors import Position
from common.dynamo import retry_conflicts
from common.events.collaborations import AgentMessageSentV1
from common.events.delivery import require_owner
from common.idempotency import Once
from common.principals import Principal

log = logging.getLogger(__name__)


def tell_agent(
    store: Store,
    principal: Principal,
    agent_id: str,
    request: TellAgentRequest,
    once: Once | None,
) -> AgentMessage:
    sender = agents.load_owned(store, principal, agent_id)
    target = agents.load_owned(store, principal, request.to_agent_id)
    if sender.id == target.id:
        raise ToItself
    message_id = new_id()
    sent = AgentMessageSentV1(
        message_id=message_id,
        agent_id=sender.id,
        to_agent_id=target.id,
        content=request.content,
        user_id=principal.user_id,
        aggregate_id=message_id,
        aggregate_version=1,
        correlation_id=correlation_id.get(),
    )
    message = _message(sent)
    store.inbox.send(sent, once and once.answering(201, message))
    return message


def list_inbox(
    store: Store,
    principal: Principal,
    agent_id: str,
    limit: int,
    start: Position | None,
) -> tuple[list[AgentMessage], Position | None]:
    agent = agents.load_owned(store, principal, agent_id)
    return store.inbox.list_for_agent(agent.id, limit, start)


def keep_message(store: Store, event: AgentMessageSentV1) -> None:
    """Nobody's agents write to another's. Raises Undeliverable."""
    target = store.agents.get(event.to_agent_id)
    if target is None:
        raise AgentNotFound(event.to_agent_id)
    require_owner(event.user_id, target.user_id)
    if target.deleted:
        log.warning("message refused", extra={"messageId": event.message_id})
        return
    store.inbox.put(_message(event), event)


def deliver_messages(store: Store, task_id: str) -> Task:
    """Gives a task that begins what its agent was told since the last one. Answers with the task
    as it is then."""

    def attempt() -> Task:
        before = store.tasks.get(task_id)
        if before.status != TaskStatus.PENDING or before.messages:
            return before
        taken = _as_many_as_fit(store.inbox.unread(before.agent_id, task_id))
        if not taken:
            return before
        told = "\n".join(f"From agent {each.from_agent_id}: {each.content}" for each in taken)
        after = advanced(before, messages=told)
        store.inbox.deliver(before, after, taken)
        return after

    return retry_conflicts(attempt)


def _as_many_as_fit(messages: list[AgentMessage]) -> list[AgentMessage]:
    """At least one; the others wait for the next task."""
    taken: list[AgentMessage] = []
    for message in messages:
        length = sum(len(each.content) for each in (*taken, message))
        if taken and length > MAX_CHARS_OF_A_TASK:
            break
        taken.append(message)
    return taken


def _message(event: AgentMessageSentV1) -> AgentMessage:
    return AgentMessage(
        id=event.message_id,
        from_agent_id=event.agent_id,
        to_agent_id=event.to_agent_id,
        content=event.content,
        sent_at=event.timestamp,
        collaboration_id=event.collaboration_id,
        task_id=event.task_id,
    )
