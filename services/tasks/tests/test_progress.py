"""A step that takes long says that it is at work; whoever watches sees it grow."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from threading import Condition

import pytest
from chalicelib.tasks.use_cases import heartbeat
from common import service as parts
from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st

from services.tasks.tests.test_execution import Execution, ScriptedRuntime, steps
from tests.service import Service
from tests.strategies import emptied

kinds = st.lists(st.sampled_from(["reasoning", "response"]), min_size=1, max_size=3)
MOST_STEPS = 4


class Beats:
    """Counts what is written to the table beside the step that is being carried out."""

    def __init__(self) -> None:
        self._heard = Condition()
        self._count = 0
        self._crashing: set[int] = set()
        self.needed: list[int] = []

    def hear(self, **_: object) -> None:
        with self._heard:
            self._count += 1
            self._heard.notify_all()

    def crash_in(self, indices: set[int]) -> None:
        self._crashing = set(indices)

    def last(self, index: int) -> None:
        """The step takes as many beats; it may break off then, the first time."""
        with self._heard:
            until = self._count + self.needed[index]
            assert self._heard.wait_for(lambda: self._count >= until, timeout=60)
        if index in self._crashing:
            self._crashing.remove(index)
            raise MemoryError("as if the function had been killed")


@contextmanager
def beating(tasks: Service, beats: Beats) -> Iterator[None]:
    events = parts.table()._client.meta.events
    events.register("after-call.dynamodb.PutItem", beats.hear)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heartbeat, "SECONDS_BETWEEN", 0.01)
        yield
    events.unregister("after-call.dynamodb.PutItem", beats.hear)


def carry_out(execution: Execution, index: int) -> None:
    """Again if it breaks off, as the state machine does."""
    try:
        execution.state("execute_step", steps=[index])
    except MemoryError:
        execution.state("execute_step", steps=[index])


@given(
    planned=kinds,
    needed=st.lists(st.integers(0, 3), min_size=MOST_STEPS, max_size=MOST_STEPS),
    crashing=st.sets(st.integers(0, MOST_STEPS - 1), max_size=2),
)
def test_property_37_progress_event_emission(
    running_tasks: Service, planned: list[str], needed: list[int], crashing: set[int]
) -> None:
    """Feature: realtime-agentic-api, Property 37: Progress event emission"""
    runtime, beats = ScriptedRuntime(steps(*planned)), Beats()
    beats.needed = needed
    beats.crash_in(crashing)
    runtime.before_step = beats.last
    with emptied(running_tasks), beating(running_tasks, beats):
        execution = Execution(running_tasks, runtime)
        indices = execution.plan()
        for index in indices:
            carry_out(execution, index)
        told = [
            (event["timestamp"], event["progress"], event["currentStep"])
            for event in execution.announced("TaskProgress")
        ]
    told.sort()
    progress = [each[1] for each in told]
    assert (progress[0], progress[-1]) == (0, 1)
    assert all(earlier < later for earlier, later in pairwise(progress))
    executions = [*indices, *(crashing & set(indices))]
    assert len(told) >= 1 + len(indices) + sum(needed[index] for index in executions)
    for _, share, ended in told:
        assert ended / len(indices) <= share < (ended + 1) / len(indices) or share == 1
    note(f"{sum(needed[index] for index in executions)} beats")


def test_a_beat_that_can_not_be_told_does_not_end_the_step(
    running_tasks: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    with emptied(running_tasks):
        runtime, beats, failures = ScriptedRuntime(steps("response")), Beats(), [1]
        beats.needed = [1]
        runtime.before_step = beats.last
        execution = Execution(running_tasks, runtime)
        execution.plan()

        def fail_once(**_: object) -> None:
            if failures:
                failures.pop()
                raise OSError("out of reach")

        events = parts.table()._client.meta.events
        with beating(running_tasks, beats):
            events.register("before-call.dynamodb.PutItem", fail_once)
            assert execution.state("execute_step", steps=[0]) == "completed"
            events.unregister("before-call.dynamodb.PutItem", fail_once)
        assert failures == []
