"""A network that loses, delays and doubles what is asked of AWS, and an AWS that throttles: what
comes of a task is what would have come of it without."""

from collections import Counter

import pytest
from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st

from tests.faults.cases import RESULT
from tests.faults.network import CASES, Outcome, outcomes
from tests.platform import Platform

pytestmark = [pytest.mark.deployed, pytest.mark.timeout(1500)]

numbers = st.integers(0, CASES - 1)
"""Of the cases: a hundred examples are all of them, as far as there are so many."""


@pytest.fixture(scope="module")
def ended(platform: Platform) -> list[Outcome]:
    """Every fault has happened. SDKs give up sooner after many failures, so that one that is to
    happen several times may not be asked for each of them."""
    found = outcomes(platform)
    for outcome in found:
        assert 1 <= outcome.done <= outcome.case.times, f"the fault did not happen: {outcome.case}"
    return found


@given(number=numbers)
def test_a_task_ends_as_without_the_fault(ended: list[Outcome], number: int) -> None:
    case, task = ended[number].case, ended[number].task
    note(f"{case.kind} at {case.point.operation}")
    assert task["attempt"] == 1
    if case.leaves_the_call_open:
        assert (task["status"], task["error"]["code"]) == ("failed", "TOOL_OUTCOME_UNKNOWN"), case
        return
    assert (task["status"], task["result"]) == ("completed", RESULT), case
    steps = [(step["status"], step["output"]) for step in task["plan"]["steps"]]
    assert steps == [("completed", "five"), ("completed", RESULT)]


@given(number=numbers)
def test_tools_and_models_are_called_as_without_the_fault(
    ended: list[Outcome], number: int
) -> None:
    """But for what `Case` says: a model is asked once more where its answer never got on record,
    and a tool that allows it is called once more where its answer was lost."""
    outcome = ended[number]
    note("unsafe" if outcome.case.is_unsafe else "idempotent")
    assert outcome.tool_runs == outcome.case.tool_runs, outcome.case
    assert outcome.asked == outcome.case.model_calls, outcome.case


@given(number=numbers)
def test_each_event_arrives_once(ended: list[Outcome], number: int) -> None:
    case, events = ended[number].case, ended[number].events
    ids = [event["eventId"] for event in events]
    assert len(set(ids)) == len(ids)
    types = Counter(event["type"] for event in events)
    last = "TaskFailed" if case.leaves_the_call_open else "TaskCompleted"
    assert (types["TaskCreated"], types["TaskStarted"], types[last]) == (1, 1, 1), case
    steps = Counter(
        event["detail"]["currentStep"]
        for event in events
        if event["type"] == "TaskProgress" and _is_of_a_step(event["detail"])
    )
    expected = [0, 0] if case.leaves_the_call_open else [0, 1, 2]
    assert steps == Counter(expected), case
    calls = [call for event in events for call in event["detail"].get("toolInvocations") or []]
    status = "started" if case.leaves_the_call_open else "succeeded"
    assert [call["status"] for call in calls] == [status], case


def _is_of_a_step(detail: dict[str, float]) -> bool:
    """And not of the time that it takes."""
    return detail["progress"] * detail["totalSteps"] == detail["currentStep"]
