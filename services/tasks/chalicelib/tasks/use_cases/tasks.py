"""What clients do with tasks: create, read, cancel."""

from chalicelib.tasks.models import (
    CreateTaskRequest,
    Task,
    TaskEnded,
    TaskFile,
    TaskNotFailed,
    TaskNotFound,
    TaskStatus,
)
from chalicelib.tasks.repository import Store
from chalicelib.tasks.use_cases import agents, usage
from chalicelib.tasks.use_cases.about import about, advanced
from common import tracing
from common.clock import new_id, timestamp
from common.context import correlation_id
from common.cursors import Position
from common.dynamo import retry_conflicts
from common.events.base import Event
from common.events.tasks import TaskCancelledV1, TaskCreatedV1, TaskRetriedV1
from common.idempotency import Once
from common.principals import Principal


def create_task(
    store: Store,
    principal: Principal,
    agent_id: str,
    request: CreateTaskRequest,
    once: Once | None,
    cause: Event | None = None,
) -> TaskFile:
    """A task that an event asks for has the event's id: it is created once."""
    agent = agents.load_owned(store, principal, agent_id)
    usage.require_tokens(store, principal, once)
    task = Task(
        id=cause.event_id if cause else new_id(),
        agent_id=agent.id,
        user_id=principal.user_id,
        description=request.description,
        created_at=timestamp(),
        correlation_id=(cause and cause.correlation_id) or correlation_id.get(),
        traceparent=tracing.traceparent(),
        tokens_per_day=principal.quotas.tokens_per_day,
    )
    created = TaskCreatedV1(description=task.description, timestamp=task.created_at, **about(task))
    file = TaskFile(task=task)
    answer = once and once.answering(201, file)
    store.tasks.add(task, created, answer, principal.quotas.quota("activeTasks"), cause)
    return file


def load_owned(store: Store, principal: Principal, agent_id: str, task_id: str) -> TaskFile:
    """The one owner check for tasks; a task of another agent than the path names is missing."""
    file = store.tasks.file(task_id)
    if file.task.agent_id != agent_id:
        raise TaskNotFound(task_id)
    principal.require_owner(file.task.user_id, f"Task {task_id}")
    return file


def list_tasks(
    store: Store,
    principal: Principal,
    agent_id: str,
    limit: int,
    start: Position | None,
) -> tuple[list[Task], Position | None]:
    agent = agents.load_owned(store, principal, agent_id)
    return store.tasks.list_for_agent(agent.id, limit, start)


def cancel_task(
    store: Store,
    principal: Principal,
    agent_id: str,
    task_id: str,
    once: Once | None,
) -> TaskFile:
    """Raises TaskEnded if the task ended first: the first terminal status wins."""
    store.tasks.replay(once)

    def attempt() -> TaskFile:
        file = load_owned(store, principal, agent_id, task_id)
        if file.task.status.is_terminal:
            raise TaskEnded(file.task)
        after = _cancelled(file.task)
        answer = file.model_copy(update={"task": after})
        store.tasks.replace(
            file.task, after, _cancellation(after), once=once and once.answering(200, answer)
        )
        return answer

    return retry_conflicts(attempt)


def retry_task(
    store: Store,
    principal: Principal,
    agent_id: str,
    task_id: str,
    once: Once | None,
) -> TaskFile:
    """A failed task goes on at its first step that is not complete. Raises TaskNotFailed,
    QuotaExceeded."""
    usage.require_tokens(store, principal, once)
    store.tasks.replay(once)

    def attempt() -> TaskFile:
        file = load_owned(store, principal, agent_id, task_id)
        if file.task.status != TaskStatus.FAILED:
            raise TaskNotFailed(file.task)
        after = advanced(
            file.task,
            status=TaskStatus.PENDING,
            error=None,
            completed_at=None,
            waiting_for=None,
            attempt=file.task.attempt + 1,
            tokens_per_day=principal.quotas.tokens_per_day,
        )
        retried = TaskRetriedV1(attempt=after.attempt, **about(after))
        answer = file.model_copy(update={"task": after})
        store.tasks.retry(
            file.task,
            after,
            retried,
            quota=principal.quotas.quota("activeTasks"),
            once=once and once.answering(200, answer),
        )
        return answer

    return retry_conflicts(attempt)


def cancel_tasks_of(store: Store, agent_id: str) -> None:
    """Stops what a deleted agent still had to do."""
    start: Position | None = None
    while True:
        found, start = store.tasks.list_for_agent(agent_id, limit=100, start=start)
        for task in found:
            if not task.status.is_terminal:
                retry_conflicts(lambda task_id=task.id: cancel(store, store.tasks.get(task_id)))  # type: ignore[misc]
        if not start:
            return


def cancel(store: Store, task: Task) -> None:
    """A task that has ended stays as it is."""
    if not task.status.is_terminal:
        after = _cancelled(task)
        store.tasks.replace(task, after, _cancellation(after))


def _cancelled(task: Task) -> Task:
    return advanced(task, status=TaskStatus.CANCELLED, completed_at=timestamp())


def _cancellation(task: Task) -> TaskCancelledV1:
    return TaskCancelledV1(timestamp=task.completed_at or timestamp(), **about(task))
