"""The ASL files: what the emulator does not insist on."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from infra.packaging import ROOT
from infra.workflows_stack import COLLABORATE, STEPS

FILES = sorted((ROOT / "infra/workflows").glob("*.asl.json"))
NESTED = "arn:aws:states:::states:startExecution.sync:2"
Machine = dict[str, Any]


@pytest.fixture(params=FILES, ids=lambda file: file.stem)
def machine(request: pytest.FixtureRequest) -> Machine:
    return dict(json.loads(request.param.read_text()))


def machines(machine: Machine) -> Iterator[Machine]:
    """The machine and those inside its Maps."""
    yield machine
    for state in machine["States"].values():
        if "ItemProcessor" in state:
            yield from machines(state["ItemProcessor"])


def test_every_task_retries_and_times_out(machine: Machine) -> None:
    tasks = [s for m in machines(machine) for s in m["States"].values() if s["Type"] == "Task"]
    assert tasks
    for task in tasks:
        assert task["Retry"]
        assert task.get("TimeoutSeconds", 0) > 0 or task["TimeoutSecondsPath"]


def test_every_failure_is_caught_at_the_top(machine: Machine) -> None:
    for state in machine["States"].values():
        if state["Type"] in ("Task", "Map", "Parallel"):
            assert [catch["ErrorEquals"] for catch in state["Catch"]] == [["States.ALL"]]


def test_every_transition_leads_somewhere_and_every_state_is_reached(machine: Machine) -> None:
    for inner in machines(machine):
        targets = {inner["StartAt"]} | {
            target for state in inner["States"].values() for target in transitions(state)
        }
        assert targets == set(inner["States"])


def transitions(state: dict[str, Any]) -> set[str]:
    branches = [*state.get("Catch", []), *state.get("Choices", [])]
    named = {branch["Next"] for branch in branches}
    return named | {state[key] for key in ("Next", "Default") if key in state}


def test_an_error_never_ends_in_success(machine: Machine) -> None:
    handler = machine["States"]["HandleError"]
    assert machine["States"][handler["Next"]]["Type"] == "Fail"


def test_the_task_id_survives_every_state(machine: Machine) -> None:
    """A result that replaces the whole input would lose it."""
    for state in machine["States"].values():
        if state["Type"] in ("Task", "Map"):
            assert state.get("ResultPath", "$") != "$"


def test_the_functions_are_those_of_the_tasks_service() -> None:
    functions = (*STEPS, COLLABORATE)
    names = {"${" + "".join(p.title() for p in step.split("_")) + "}" for step in functions}
    found = [machine for file in FILES for machine in machines(json.loads(file.read_text()))]
    states = [state for machine in found for state in machine["States"].values()]
    called = {function_of(state) for state in states if state["Type"] == "Task"}
    assert called - {NESTED} == names


def function_of(task: dict[str, Any]) -> str:
    return str(task.get("Parameters", {}).get("FunctionName") or task["Resource"])


def test_participants_do_the_same_together_and_one_by_one() -> None:
    """Two Maps, because the emulator does not know MaxConcurrencyPath."""
    states = json.loads((ROOT / "infra/workflows/multi_agent.asl.json").read_text())["States"]
    together, one_by_one = states["Together"], states["OneByOne"]
    assert together["MaxConcurrency"] == 0
    assert one_by_one | {"MaxConcurrency": 0, "Comment": together["Comment"]} == together
