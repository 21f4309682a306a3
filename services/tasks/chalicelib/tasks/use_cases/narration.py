"""What a model says in a step, told while it says it, so that people can read along."""

import logging
import time

from chalicelib.tasks.models import Task, step_id
from chalicelib.tasks.repository import Store
from chalicelib.tasks.use_cases.about import about
from common.events.tasks import TextGeneratedV1

SECONDS_BETWEEN = 0.25
"""As often as a person's eyes move on; each part costs a write and an event."""
log = logging.getLogger(__name__)


class Narration:
    """What is said in the last moment is not told any more: the step's output follows at once."""

    def __init__(self, store: Store, task: Task, index: int) -> None:
        self._store = store
        self._task = task
        self._step = step_id(index)
        self._offset = 0
        self._waiting = ""
        self._told_at = time.monotonic()

    def __call__(self, text: str) -> None:
        self._waiting += text
        if time.monotonic() - self._told_at >= SECONDS_BETWEEN:
            self._tell()

    def _tell(self) -> None:
        """What could not be told is told with the next part; the model is not asked again."""
        self._told_at = time.monotonic()
        part = TextGeneratedV1(
            step=self._step, offset=self._offset, text=self._waiting, **about(self._task)
        )
        try:
            self._store.tasks.announce(part)
        except Exception:  # whatever it was: nothing depends on it, and the answer is paid for
            log.exception("what a model says was not told", extra={"taskId": self._task.id})
            return
        self._offset += len(self._waiting)
        self._waiting = ""
