"""Rows of inboxes: messages are in the agent's partition `AGENT#<id>`, those that no task has seen
yet apart from the others, so that a task finds what is new without reading what is old."""

from chalicelib.tasks.models import Task
from chalicelib.tasks.models.inbox import MAX_MESSAGES_OF_A_TASK, AgentMessage
from chalicelib.tasks.repository.tasks import task_row
from common.cursors import Position
from common.dynamo import Action, Delete, Put, Table
from common.events.base import Event
from common.idempotency import Once
from common.rows import Row


class InboxRepository:
    def __init__(self, table: Table) -> None:
        self._table = table

    def send(self, sent: Event, once: Once | None) -> None:
        self._table.write(events=[sent], once=once)

    def put(self, message: AgentMessage, cause: Event) -> None:
        """Raises AlreadyHandled."""
        self._table.write(Put(_row(message)), cause=cause)

    def unread(self, agent_id: str, task_id: str) -> list[AgentMessage]:
        """Those for this task, then the oldest of those for any."""
        most = MAX_MESSAGES_OF_A_TASK
        any_task = self._table.query(f"AGENT#{agent_id}", prefix=_unread(None), limit=most)
        return [*self.unread_for(agent_id, task_id), *(_message(row) for row in any_task.rows)][
            :most
        ]

    def unread_for(self, agent_id: str, task_id: str) -> list[AgentMessage]:
        page = self._table.query(f"AGENT#{agent_id}", prefix=_unread(task_id))
        return [_message(row) for row in page.rows]

    def list_for_agent(
        self, agent_id: str, limit: int, start: Position | None
    ) -> tuple[list[AgentMessage], Position | None]:
        """Newest first, but what was not read yet before what was."""
        page = self._table.query(
            f"AGENT#{agent_id}", prefix="INBOX#", limit=limit, start=start, forward=False
        )
        return [_message(row) for row in page.rows], page.position

    def deliver(self, before: Task, after: Task, messages: list[AgentMessage]) -> None:
        """The task has them now, and no other task gets them. Raises Conflict."""
        actions: list[Action] = [Put(task_row(after), version=before.version)]
        for message in messages:
            unread, read = _row(message), _row(message.model_copy(update={"read_by": after.id}))
            actions += [Delete(unread["PK"], unread["SK"], version=1), Put(read)]
        self._table.write(*actions)


def _unread(task_id: str | None) -> str:
    return f"INBOX#UNREAD#FOR#{task_id}#" if task_id else "INBOX#UNREAD#ANY#"


def _row(message: AgentMessage) -> Row:
    state = "INBOX#READ#" if message.read_by else _unread(message.task_id)
    return {
        "PK": f"AGENT#{message.to_agent_id}",
        "SK": f"{state}{message.sent_at}#{message.id}",
        "id": message.id,
        "fromAgentId": message.from_agent_id,
        "toAgentId": message.to_agent_id,
        "content": message.content,
        "sentAt": message.sent_at,
        "collaborationId": message.collaboration_id,
        "taskId": message.task_id,
        "readBy": message.read_by,
        "version": 1,
    }


def _message(row: Row) -> AgentMessage:
    return AgentMessage.model_validate(
        {name: row[name] for name in row.keys() - {"PK", "SK", "version"}}
    )
