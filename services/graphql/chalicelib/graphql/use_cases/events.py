"""The events are followed: they change the read model. Answered is what subscribers are to be told.

Events come twice and in any order. One that changes nothing is told to nobody, unless it was told
before and may have been lost in a crash: then it is told again, under the same number.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from chalicelib.graphql.models.agents import Agent
from chalicelib.graphql.models.approvals import Approval
from chalicelib.graphql.models.schedules import Schedule
from chalicelib.graphql.models.sockets import Update
from chalicelib.graphql.models.tasks import Task
from chalicelib.graphql.repository.approvals import ApprovalRepository
from chalicelib.graphql.repository.objects import AgentRepository, TaskRepository
from chalicelib.graphql.repository.schedules import ScheduleRepository
from chalicelib.graphql.repository.updates import UpdateRepository
from common.dynamo import Action, AlreadyHandled, retry_conflicts
from common.events.approvals import ApprovalDecidedV1, ApprovalRequestedV1, ApprovalVoidedV1
from common.events.base import Event
from common.events.delivery import require_owner
from common.events.tasks import TaskProgressV1

E = TypeVar("E", bound=Event)
OfApproval = ApprovalRequestedV1 | ApprovalDecidedV1 | ApprovalVoidedV1
A = TypeVar("A", bound=OfApproval)


@dataclass(frozen=True)
class ReadModel:
    agents: AgentRepository
    tasks: TaskRepository
    approvals: ApprovalRepository
    schedules: ScheduleRepository
    updates: UpdateRepository


def follow_agent(model: ReadModel, event: E, change: Callable[[Agent, E], Agent]) -> Update | None:
    agent_id = event.aggregate_id

    def attempt() -> Update | None:
        known, stream = model.agents.find_with_stream(agent_id)
        before = known or Agent(id=agent_id, user_id=event.user_id)
        require_owner(event.user_id, before.user_id)
        after = change(before, event)
        if after == before:
            raise AlreadyHandled(event.event_id)
        if after.status == before.status or after.deleted:
            model.agents.save(before, after)
            return None
        update, rows = model.updates.next(_of_agent(after, event), stream)
        model.agents.save(before, after, *rows)
        return update if stream.is_watched else None

    return _new_or_told_before(model, agent_id, event, attempt)


def follow_task(
    model: ReadModel, agent_id: str, event: E, change: Callable[[Task, E], Task]
) -> Update | None:
    task_id = event.aggregate_id

    def attempt() -> Update | None:
        unknown = Task(id=task_id, agent_id=agent_id, user_id=event.user_id)
        known, stream = model.tasks.find_with_stream(task_id, agent_id)
        before = known or unknown
        require_owner(event.user_id, before.user_id)
        after = change(before, event)
        if after == before:
            raise AlreadyHandled(event.event_id)
        update, rows = model.updates.next(_of_task(after, event), stream)
        model.tasks.save(before, after, *rows, *_calling(model, before, after, event))
        return update if stream.is_watched else None

    return _new_or_told_before(model, agent_id, event, attempt)


def _calling(model: ReadModel, before: Task, after: Task, event: Event) -> Iterator[Action]:
    """Only what is newer than what is known of the same step."""
    if isinstance(event, TaskProgressV1) and event.tool_invocations:
        if after.calling != before.calling:
            yield model.tasks.put_calls(after.id, event.tool_invocations)


def follow_approval(model: ReadModel, event: A, change: Callable[[Approval, A], Approval]) -> None:
    """The task remembers what it asked for, so that approvals of many tasks are read at once."""

    def attempt() -> None:
        unknown = Approval(
            id=event.approval_id,
            agent_id=event.agent_id,
            task_id=event.task_id,
            user_id=event.user_id,
        )
        before = model.approvals.find(event.approval_id) or unknown
        require_owner(event.user_id, before.user_id)
        after = change(before, event)
        if after == before:
            raise AlreadyHandled(event.event_id)
        model.approvals.save(before, after, *_asking(model, event))

    retry_conflicts(attempt)


def _asking(model: ReadModel, event: OfApproval) -> Iterator[Action]:
    if isinstance(event, ApprovalRequestedV1):
        unknown = Task(id=event.task_id, agent_id=event.agent_id, user_id=event.user_id)
        task = model.tasks.find(event.task_id) or unknown
        yield model.tasks.put(task, task.asking(event))


def follow_schedule(model: ReadModel, event: E, change: Callable[[Schedule, E], Schedule]) -> None:
    schedule_id = event.aggregate_id

    def attempt() -> None:
        unknown = Schedule(id=schedule_id, user_id=event.user_id)
        before = model.schedules.find(schedule_id) or unknown
        require_owner(event.user_id, before.user_id)
        after = change(before, event)
        if after == before:
            raise AlreadyHandled(event.event_id)
        model.schedules.save(before, after)

    retry_conflicts(attempt)


def _new_or_told_before(
    model: ReadModel, agent_id: str, event: Event, attempt: Callable[[], Update | None]
) -> Update | None:
    try:
        return retry_conflicts(attempt)
    except AlreadyHandled:
        update = model.updates.of_event(agent_id, event.event_id)
        if update is None:
            raise
        return update


def _of_agent(agent: Agent, event: Event) -> Update:
    return Update(
        agent_id=agent.id,
        field="agentStatusUpdated",
        value={"status": agent.status.value},
        event_id=event.event_id,
    )


def _of_task(task: Task, event: Event) -> Update:
    return Update(
        agent_id=task.agent_id,
        task_id=task.id,
        field="taskProgressUpdated",
        value=task.progress(event.timestamp).wire(),
        event_id=event.event_id,
    )
