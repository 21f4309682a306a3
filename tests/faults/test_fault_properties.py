"""Functions that die and models that fail, at every call of a task: the properties."""

import pytest
from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st

from tests.faults.cases import ATTEMPTS, CALLS, CASES, RESULT, Outcome, outcomes
from tests.platform import Platform

pytestmark = [pytest.mark.deployed, pytest.mark.timeout(1500)]

numbers = st.integers(0, CASES - 1)
"""Of the cases: a hundred examples are all of them."""


@pytest.fixture(scope="module")
def ended(platform: Platform) -> list[Outcome]:
    found = outcomes(platform)
    for outcome in found:
        assert len(outcome.asked) == CALLS + outcome.case.times, "the fault did not happen"
    return found


@given(number=numbers)
def test_property_47_step_retry_with_exponential_backoff(ended: list[Outcome], number: int) -> None:
    """Feature: realtime-agentic-api, Property 47: Step retry with exponential backoff"""
    case, outcome = ended[number].case, ended[number]
    note(f"{case.fault} {case.times} times")
    waits = [
        outcome.asked[case.call + n + 1] - outcome.asked[case.call + n]
        for n in range(min(case.times, ATTEMPTS - 1))
    ]
    if case.fault == "killed":
        assert all(wait >= 2**n for n, wait in enumerate(waits)), waits
        assert ("HandleError" in outcome.states) == case.exhausts
    else:
        # An answer of the agent's own is no failure of the step's: the machine does not retry it.
        assert outcome.first["status"] == "failed"
        assert outcome.states.count("PlanTask") == 1


@given(number=numbers)
def test_property_48_error_branch_execution_after_retry_exhaustion(
    ended: list[Outcome], number: int
) -> None:
    """Feature: realtime-agentic-api, Property 48: Error branch execution after retry exhaustion"""
    case, outcome = ended[number].case, ended[number]
    note("exhausted" if case.exhausts else "recovered")
    assert outcome.states.count("HandleError") == case.exhausts
    assert outcome.first["status"] == ("failed" if case.exhausts else "completed")
    assert (outcome.first["error"] or {}).get("code") == (case.code if case.exhausts else None)


@given(number=numbers)
def test_property_66_failure_recovery(ended: list[Outcome], number: int) -> None:
    """Feature: realtime-agentic-api, Property 66: Failure recovery"""
    case, outcome = ended[number].case, ended[number]
    note(f"{case.fault} at call {case.call}")
    assert (outcome.task["status"], outcome.task["result"]) == ("completed", RESULT)
    assert len(outcome.asked) == CALLS + case.times, "no answer was asked for twice"
    assert (outcome.invocations, outcome.tool_runs) == (1, 1)
    assert outcome.task["attempt"] == 1 + case.exhausts


@given(number=numbers)
def test_property_75_step_function_error_branch(ended: list[Outcome], number: int) -> None:
    """Feature: realtime-agentic-api, Property 75: Step Function error branch"""
    case, outcome = ended[number].case, ended[number]
    note(f"{case.fault}: {'failed' if case.exhausts else 'went on'}")
    last = outcome.states[-1]
    assert last == ("Failed" if case.exhausts else "Done")
    assert outcome.errors == case.exhausts, "the error is announced once"


@given(number=numbers)
def test_property_77_partial_state_preservation(ended: list[Outcome], number: int) -> None:
    """Feature: realtime-agentic-api, Property 77: Partial state preservation"""
    case, first, task = ended[number].case, ended[number].first, ended[number].task
    note(f"failed at call {case.call}" if case.exhausts else "recovered")
    kept = [step for step in (first["plan"] or {"steps": []})["steps"] if step["output"]]
    done = [step for step in kept if step["status"] == "completed"]
    if case.exhausts:
        assert (first["plan"] is None) == (case.call == 0)
        assert len(done) == (case.call == CALLS - 1), "the first step was complete or it was not"
    for step in done:
        assert step in task["plan"]["steps"], "what was complete is as it was"
