"""The tasks service: routes, consumers, and the functions of the TaskExecution state machine."""

import logging
import os
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import boto3
from chalicelib.tasks.conversation_queue import ConversationQueue
from chalicelib.tasks.models import CreateTaskRequest, Task, TaskFile, Usage
from chalicelib.tasks.models.approvals import Approval, DecideRequest
from chalicelib.tasks.models.collaborations import (
    Collaboration,
    CollaborationFile,
    CreateCollaborationRequest,
)
from chalicelib.tasks.models.contexts import ContextDetails
from chalicelib.tasks.models.conversations import Message, SendMessageRequest, Session
from chalicelib.tasks.models.failures import OutOfTime
from chalicelib.tasks.models.inbox import AgentMessage, TellAgentRequest
from chalicelib.tasks.models.queries import ContextQuery, MessagesQuery
from chalicelib.tasks.models.trace import SettleRequest, ToolInvocation, Trace
from chalicelib.tasks.repository import Store
from chalicelib.tasks.use_cases import (
    agents,
    approvals,
    collaborating,
    contexts,
    conversation,
    execution,
    inbox,
    messages,
    reconciliation,
    scheduled,
    steps,
    trace,
    usage,
)
from chalicelib.tasks.use_cases import collaborations as collaboration_use_cases
from chalicelib.tasks.use_cases import tasks as use_cases
from chalicelib.tasks.work import Deadline
from chalicelib.tasks.workflow import Collaborations, TaskExecutions
from common.calls import patience
from common.consumers import Consumers
from common.errors import NotFound
from common.events.agents import AgentCreatedV1, AgentDeletedV1, AgentUpdatedV1
from common.events.approvals import ApprovalDecidedV1
from common.events.collaborations import (
    AgentMessageSentV1,
    CollaborationCancelledV1,
    CollaborationStartedV1,
)
from common.events.conversations import SessionDeletedV1, UserInteractionV1
from common.events.requests import (
    ApprovalDecisionRequestedV1,
    TaskCancellationRequestedV1,
    TaskCreationRequestedV1,
)
from common.events.schedules import ScheduledTaskV1
from common.events.tasks import TaskCancelledV1, TaskCompletedV1, TaskCreatedV1, TaskRetriedV1
from common.http import ServiceApp
from common.idempotency import Once
from common.outbox import relay
from common.paging import Page, page
from common.principals import Principal
from common.queries import Paging
from common.requested import carry_out, validated
from common.service import dead_letters, outbox_relay, redis_client, shared_cache, table

if TYPE_CHECKING:
    from chalicelib.tasks.runtime import Runtime

_TOOLS = patience(60, tries=1)
"""A call that got no answer may have happened: whether it is made again is not boto's decision."""

log = logging.getLogger(__name__)
app = ServiceApp("tasks")
relay_outbox = relay(app, outbox_relay)
consumers = Consumers()
consume = consumers.lambda_function(app)


@cache
def store() -> Store:
    return Store.over(table(), shared_cache)


@cache
def executions() -> TaskExecutions:
    return TaskExecutions(boto3.client("stepfunctions"), os.environ["STATE_MACHINE_ARN"])


@cache
def multi_agent() -> Collaborations:
    return Collaborations(boto3.client("stepfunctions"), os.environ["MULTI_AGENT_ARN"])


@cache
def conversations() -> ConversationQueue:
    return ConversationQueue(boto3.client("sqs"), os.environ["CONVERSATIONS_URL"])


@cache
def runtime() -> "Runtime":
    """Imported here: only the functions that ask a model pay for strands and its SDKs."""
    from chalicelib.tasks.runtime import Runtime

    return Runtime(boto3.client("lambda", config=_TOOLS), store(), redis_client())


def deadline(context: Any) -> Deadline:
    """When this invocation ends."""
    return lambda: context.get_remaining_time_in_millis() / 1000


@app.operation("POST", "/agents/{agent_id}/tasks", "tasks:write", status=201)
def create_task(
    user: Principal, agent_id: str, body: CreateTaskRequest, once: Once | None
) -> TaskFile:
    return use_cases.create_task(store(), user, agent_id, body, once)


@app.operation("GET", "/agents/{agent_id}/tasks", "tasks:read")
def list_tasks(user: Principal, agent_id: str, query: Paging) -> Page[Task]:
    """Newest first, without their plans; long results are cut."""
    find = partial(use_cases.list_tasks, store(), user, agent_id)
    return page(user, query, f"tasks {agent_id}", find)


@app.operation("GET", "/agents/{agent_id}/tasks/{task_id}", "tasks:read")
def get_task(user: Principal, agent_id: str, task_id: str) -> TaskFile:
    return use_cases.load_owned(store(), user, agent_id, task_id)


@app.operation("POST", "/agents/{agent_id}/tasks/{task_id}/cancel", "tasks:write")
def cancel_task(user: Principal, agent_id: str, task_id: str, once: Once | None) -> TaskFile:
    return use_cases.cancel_task(store(), user, agent_id, task_id, once)


@app.operation("POST", "/agents/{agent_id}/tasks/{task_id}/retry", "tasks:write")
def retry_task(user: Principal, agent_id: str, task_id: str, once: Once | None) -> TaskFile:
    """A failed task goes on at its first step that is not complete."""
    return use_cases.retry_task(store(), user, agent_id, task_id, once)


@app.operation("GET", "/agents/{agent_id}/tasks/{task_id}/trace", "tasks:read")
def get_trace(user: Principal, agent_id: str, task_id: str) -> Trace:
    """What the agent thought and did, step by step."""
    return trace.read_trace(store(), user, agent_id, task_id)


@app.operation("POST", "/agents/{agent_id}/tasks/{task_id}/tool-calls/{call_id}", "tasks:write")
def settle_call(
    user: Principal, agent_id: str, task_id: str, call_id: str, body: SettleRequest
) -> ToolInvocation:
    return trace.settle_call(store(), user, (agent_id, task_id, call_id), body)


@app.operation("GET", "/approvals", "tasks:read")
def list_approvals(user: Principal, query: Paging) -> Page[Approval]:
    return page(user, query, "approvals", partial(approvals.list_approvals, store(), user))


@app.operation("GET", "/approvals/{approval_id}", "tasks:read")
def get_approval(user: Principal, approval_id: str) -> Approval:
    return approvals.load_owned(store(), user, approval_id)


@app.operation("POST", "/approvals/{approval_id}", "tasks:write")
def decide_approval(
    user: Principal, approval_id: str, body: DecideRequest, once: Once | None
) -> Approval:
    return approvals.decide(store(), user, approval_id, body, once)


@app.operation("POST", "/agents/{agent_id}/messages", "tasks:write", status=202)
def send_message(
    user: Principal, agent_id: str, body: SendMessageRequest, once: Once | None
) -> Message:
    """The agent's answer is pushed to who watches it, and kept with the message."""
    return messages.send_message(store(), user, agent_id, body, once)


@app.operation("GET", "/agents/{agent_id}/messages", "tasks:read")
def list_messages(user: Principal, agent_id: str, query: MessagesQuery) -> Page[Message]:
    """Of the session that is named, else of the one that was used last."""
    session = messages.named_or_latest(store(), user, agent_id, query.session_id)
    if session is None:
        return Page([], None)
    return page(user, query, f"messages {session.key}", partial(store().sessions.page, session))


@app.operation("GET", "/agents/{agent_id}/messages/{message_id}", "tasks:read")
def get_message(user: Principal, agent_id: str, message_id: str) -> Message:
    return messages.get_message(store(), user, agent_id, message_id)


@app.operation("GET", "/agents/{agent_id}/sessions", "tasks:read")
def list_sessions(user: Principal, agent_id: str, query: Paging) -> Page[Session]:
    find = partial(messages.list_sessions, store(), user, agent_id)
    return page(user, query, f"sessions {agent_id}", find)


@app.operation("DELETE", "/agents/{agent_id}/sessions/{session_id}", "tasks:write")
def delete_session(user: Principal, agent_id: str, session_id: str) -> None:
    messages.delete_session(store(), user, agent_id, session_id)


@app.operation("GET", "/agents/{agent_id}/context", "tasks:read")
def get_context(user: Principal, agent_id: str, query: ContextQuery) -> ContextDetails:
    """What the agent knows: of a session if one is named, else beyond them."""
    if query.session_id is None:
        return contexts.read_memory(store(), user, agent_id, query.consistent)
    return contexts.read_context(store(), user, agent_id, query.session_id, query.consistent)


@app.operation("POST", "/agents/{agent_id}/inbox", "tasks:write", status=201)
def tell_agent(
    user: Principal, agent_id: str, body: TellAgentRequest, once: Once | None
) -> AgentMessage:
    """From this agent to another one of the same owner, whose next task sees it."""
    return inbox.tell_agent(store(), user, agent_id, body, once)


@app.operation("GET", "/agents/{agent_id}/inbox", "tasks:read")
def list_inbox(user: Principal, agent_id: str, query: Paging) -> Page[AgentMessage]:
    find = partial(inbox.list_inbox, store(), user, agent_id)
    return page(user, query, f"inbox {agent_id}", find)


@app.operation("POST", "/collaborations", "tasks:write", status=201, raises=(NotFound,))
def create_collaboration(
    user: Principal, body: CreateCollaborationRequest, once: Once | None
) -> CollaborationFile:
    return collaboration_use_cases.create_collaboration(store(), user, body, once)


@app.operation("GET", "/collaborations", "tasks:read")
def list_collaborations(user: Principal, query: Paging) -> Page[Collaboration]:
    find = partial(collaboration_use_cases.list_collaborations, store(), user)
    return page(user, query, "collaborations", find)


@app.operation("GET", "/collaborations/{collaboration_id}", "tasks:read")
def get_collaboration(user: Principal, collaboration_id: str) -> CollaborationFile:
    return collaboration_use_cases.load_owned(store(), user, collaboration_id)


@app.operation("POST", "/collaborations/{collaboration_id}/cancel", "tasks:write")
def cancel_collaboration(
    user: Principal, collaboration_id: str, once: Once | None
) -> CollaborationFile:
    return collaboration_use_cases.cancel_collaboration(store(), user, collaboration_id, once)


@app.operation("GET", "/usage", "tasks:read")
def get_usage(user: Principal) -> Usage:
    return usage.read_usage(store(), user)


@consumers.on(AgentCreatedV1)
def on_agent_created(event: AgentCreatedV1) -> None:
    agents.keep_agent(store(), event)


@consumers.on(AgentUpdatedV1)
def on_agent_updated(event: AgentUpdatedV1) -> None:
    agents.keep_agent(store(), event)


@consumers.on(AgentDeletedV1)
def on_agent_deleted(event: AgentDeletedV1) -> None:
    agents.require_known_owner(store(), event)
    use_cases.cancel_tasks_of(store(), event.agent_id)
    messages.delete_sessions_of(store(), event.agent_id)
    agents.forget_agent(store(), event)


@consumers.on(TaskCreationRequestedV1)
def on_creation_requested(event: TaskCreationRequestedV1) -> None:
    def create(user: Principal) -> object:
        wanted = validated(CreateTaskRequest, event.input)
        return use_cases.create_task(store(), user, event.agent_id, wanted, once=None)

    carry_out(table(), event, "tasks:write", create)


@consumers.on(TaskCancellationRequestedV1)
def on_cancellation_requested(event: TaskCancellationRequestedV1) -> None:
    def cancel(user: Principal) -> object:
        return use_cases.cancel_task(store(), user, event.agent_id, event.task_id, once=None)

    carry_out(table(), event, "tasks:write", cancel)


@consumers.on(ApprovalDecisionRequestedV1)
def on_decision_requested(event: ApprovalDecisionRequestedV1) -> None:
    def decide(user: Principal) -> object:
        wanted = validated(DecideRequest, event.input)
        return approvals.decide(store(), user, event.approval_id, wanted, once=None)

    carry_out(table(), event, "tasks:write", decide)


@consumers.on(TaskCreatedV1)
def on_task_created(event: TaskCreatedV1) -> None:
    if not event.collaboration_id:  # the collaboration's own machine starts those
        executions().start(event.task_id, attempt=1)


@consumers.on(AgentMessageSentV1)
def on_agent_message_sent(event: AgentMessageSentV1) -> None:
    inbox.keep_message(store(), event)


@consumers.on(CollaborationStartedV1)
def on_collaboration_started(event: CollaborationStartedV1) -> None:
    multi_agent().start(event.collaboration_id)


@consumers.on(CollaborationCancelledV1)
def on_collaboration_cancelled(event: CollaborationCancelledV1) -> None:
    collaboration_use_cases.cancel_tasks_of(store(), event.collaboration_id)


@consumers.on(ScheduledTaskV1)
def on_scheduled_task(event: ScheduledTaskV1) -> None:
    scheduled.create_task(store(), event)


@consumers.on(TaskRetriedV1)
def on_task_retried(event: TaskRetriedV1) -> None:
    executions().start(event.task_id, event.attempt)


@consumers.on(TaskCancelledV1)
def on_task_cancelled(event: TaskCancelledV1) -> None:
    approvals.stop_waiting(store(), executions(), event.task_id)


@consumers.on(ApprovalDecidedV1)
def on_approval_decided(event: ApprovalDecidedV1) -> None:
    approvals.wake(store(), executions(), event.approval_id)


@consumers.on(TaskCompletedV1)
def on_task_completed(event: TaskCompletedV1) -> None:
    contexts.remember_task(store(), event)


@consumers.on(UserInteractionV1)
def on_user_interaction(event: UserInteractionV1) -> None:
    conversations().hand_over(event.agent_id, event.session_id)


@consumers.on(SessionDeletedV1)
def on_session_deleted(event: SessionDeletedV1) -> None:
    messages.purge(store(), event)


@app.lambda_function(name="converse")
def converse(event: dict[str, Any], context: object) -> None:
    """One session of the queue at a time; after its last failure the answer is given up."""
    for record in event["Records"]:
        ids = conversations().read(record)
        try:
            conversation.converse(store(), runtime(), *ids, deadline(context))
        except OutOfTime:
            conversations().hand_over(*ids)
        except Exception as error:  # whatever it was: the user is not to wait for ever
            if not conversations().is_last_attempt(record):
                raise
            log.exception("an answer is given up", extra={"sessionId": ids[1]})
            conversation.give_up(store(), *ids)
            dead_letters().bury(record, type(error).__name__, str(error))


@app.lambda_function(name="initialize_task")
def initialize_task(event: dict[str, Any], _context: object) -> dict[str, Any]:
    return execution.initialize_task(store(), event["taskId"])


@app.lambda_function(name="plan_task")
def plan_task(event: dict[str, Any], context: object) -> dict[str, Any]:
    return execution.plan_task(store(), runtime(), event["taskId"], deadline(context))


@app.lambda_function(name="execute_step")
def execute_step(event: dict[str, Any], context: object) -> dict[str, Any]:
    left = deadline(context)
    return steps.execute_steps(store(), runtime(), event["taskId"], event["steps"], left)


@app.lambda_function(name="complete_task")
def complete_task(event: dict[str, Any], _context: object) -> dict[str, Any]:
    return execution.complete_task(store(), event["taskId"])


@app.lambda_function(name="handle_error")
def handle_error(event: dict[str, Any], _context: object) -> dict[str, Any]:
    return execution.handle_error(store(), event["taskId"], event["attempt"])


@app.lambda_function(name="await_approval")
def await_approval(event: dict[str, Any], _context: object) -> None:
    approvals.await_decision(store(), executions(), event["approvalId"], event["token"])


@app.lambda_function(name="expire_approval")
def expire_approval(event: dict[str, Any], _context: object) -> None:
    approvals.expire(store(), event["approvalId"])


@app.lambda_function(name="collaborate")
def collaborate(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Every state of the MultiAgent state machine."""
    return collaborating.enter(store(), event)


@app.lambda_function(name="reconcile")
def reconcile(_event: dict[str, Any], _context: object) -> None:
    reconciliation.end_what_broke_off(store(), executions())


if os.environ.get("PRELOAD_PROVIDERS"):
    from chalicelib.tasks.runtime import preload

    preload()
