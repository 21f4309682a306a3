"""What the states of a task's execution have in common."""

from typing import NamedTuple

from chalicelib.tasks.models import AgentSnapshot, Task, TaskError, TaskFile
from chalicelib.tasks.models.failures import AgentFailed
from chalicelib.tasks.repository import Journal, Store
from chalicelib.tasks.use_cases import contexts
from chalicelib.tasks.use_cases.narration import Narration
from chalicelib.tasks.use_cases.tasks import cancel
from chalicelib.tasks.work import Account, Deadline, Job
from common import tracing
from common.clock import timestamp
from common.context import correlation_id


class Work(NamedTuple):
    """What a state needs to do its part."""

    file: TaskFile
    agent: AgentSnapshot

    def job(self, journal: Journal, deadline: Deadline, narration: Narration | None = None) -> Job:
        task = self.file.task
        account = Account(task.user_id, self.agent.id, task.tokens_per_day)
        return Job(self.agent, account, journal, deadline, narration)


def work_of(store: Store, task_id: str) -> Work | None:
    """None if there is nothing left to do: the task has ended, or its agent is gone."""
    file = store.tasks.file(task_id)
    if begin(file.task).status.is_terminal:
        return None
    agent = store.agents.get(file.task.agent_id)
    if agent is None or agent.deleted:
        cancel(store, file.task)
        return None
    return Work(file, contexts.remembering(store, agent))


def begin(task: Task) -> Task:
    """Everything logged and traced from here on belongs to the request that created the task."""
    correlation_id.set(task.correlation_id)
    tracing.follow(task.traceparent, {"agentic.task.id": task.id})
    return task


def task_error(failure: AgentFailed) -> TaskError:
    return TaskError(code=failure.code, message=failure.message, timestamp=timestamp())
