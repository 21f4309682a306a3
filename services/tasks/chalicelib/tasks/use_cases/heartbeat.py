"""A step that takes long says now and then that it is still at work."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from datetime import UTC, datetime
from threading import Event, Thread

from chalicelib.tasks.models import TaskFile
from chalicelib.tasks.repository import Store
from chalicelib.tasks.use_cases.about import about
from common.events.tasks import TaskProgressV1

SECONDS_BETWEEN = 4.0
"""Less than the five that watchers may count on: the event takes its way, too."""
HALF_SECONDS = 30.0
"""After so long a step counts as half done: nobody knows better."""
log = logging.getLogger(__name__)


@contextmanager
def beating(store: Store, file: TaskFile, index: int) -> Iterator[None]:
    """While the step is carried out. What it tells is told before whatever comes after it."""
    over = Event()
    heart = Thread(target=copy_context().run, args=(_beat, store, file, index, over), daemon=True)
    heart.start()
    try:
        yield
    finally:
        over.set()
        heart.join()


def _beat(store: Store, file: TaskFile, index: int, over: Event) -> None:
    while not over.wait(SECONDS_BETWEEN):
        try:
            store.tasks.announce(progress_within(file, index, datetime.now(UTC)))
        except Exception:  # a thread's edge: the step goes on, and the next beat may be told
            log.exception("a step's progress was not told", extra={"taskId": file.task.id})


def progress_within(file: TaskFile, index: int, now: datetime) -> TaskProgressV1:
    """Grows for as long as the step takes, also over a crash, and never reaches its end."""
    task = file.task
    ended = [record.completed_at for record in file.records.values()]
    since = datetime.fromisoformat(max([*ended, task.started_at or task.created_at]))
    elapsed = max(0.0, (now - since).total_seconds())
    share = elapsed / (elapsed + HALF_SECONDS)
    return TaskProgressV1(
        current_step=task.current_step,
        total_steps=task.total_steps,
        progress=(task.current_step + share) / task.total_steps,
        step_description=file.agreed_plan.steps[index].description,
        **about(task),
    )
