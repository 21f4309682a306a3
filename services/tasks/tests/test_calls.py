"""What the events of a step tell of its calls of tools."""

import json
from typing import Any

import pytest
from chalicelib.tasks.tools import MAX_CALLS
from chalicelib.tasks.use_cases.calls import MOST_CHARS
from common.outbox import MAX_BATCH_BYTES

from infra.tests.simulator_client import Simulator
from services.tasks.tests.workbench import Toolbox, Workbench, calls, planned, thinks, tool
from tests.service import Service

TEXT = {"type": "object", "properties": {"n": {}, "text": {"type": "string"}}}


def told(bench: Workbench) -> list[list[dict[str, Any]]]:
    """By event, of those that tell of any."""
    progress = bench.announced("TaskProgress")
    return [each["toolInvocations"] for each in progress if each.get("toolInvocations")]


def test_a_step_that_ended_tells_what_it_called(tasks: Service, simulator: Simulator) -> None:
    twice = calls(("lookup", {"n": 1}), ("lookup", {"n": -1}))
    script = planned(thinks(), thinks()), twice, {"text": "a"}, {"text": "b"}, {"text": "done"}
    bench = Workbench(tasks, simulator, *script, tools=[tool("lookup")])
    assert bench.run()["status"] == "completed"
    (calls_told,) = told(bench)
    assert [each["status"] for each in calls_told] == ["succeeded", "failed"]
    about_event = {"step": "step-001", "outputTruncated": False}
    assert calls_told == [each | about_event for each in bench.invocations()]


def test_long_parameters_are_left_out_and_a_long_output_is_cut(
    tasks: Service, simulator: Simulator
) -> None:
    toolbox = Toolbox()
    toolbox.behaviour = lambda request: "é" * 900_000
    script = planned(thinks()), calls(("lookup", {"text": "x" * 2000})), {"text": "ok"}
    bench = Workbench(
        tasks,
        simulator,
        *(*script, {"text": "done"}),
        toolbox=toolbox,
        tools=[tool("lookup", parameters=TEXT)],
    )
    assert bench.run()["status"] == "completed"
    ((call,),) = told(bench)
    (traced,) = bench.invocations()
    assert call["parameters"] is None
    assert call["output"] == traced["output"][:MOST_CHARS]
    assert call["outputTruncated"]


def test_a_step_that_failed_tells_it_too_and_fits_on_the_bus(
    tasks: Service, simulator: Simulator
) -> None:
    toolbox = Toolbox()
    toolbox.behaviour = lambda request: "é" * 3000
    many = calls(*(("lookup", {"text": "é" * 100, "n": n}) for n in range(MAX_CALLS + 1)))
    bench = Workbench(
        tasks,
        simulator,
        *(planned(thinks()), many),
        toolbox=toolbox,
        tools=[tool("lookup", parameters=TEXT)],
    )
    assert bench.run()["error"]["code"] == "BUDGET_EXCEEDED"
    (calls_told,) = told(bench)
    assert len(calls_told) == MAX_CALLS
    assert len(json.dumps(calls_told).encode()) < MAX_BATCH_BYTES
    progress = bench.announced("TaskProgress")[-1]
    assert (progress["currentStep"], progress["totalSteps"]) == (0, 2)


@pytest.mark.parametrize("step", [{"text": "thought"}, {"status": 400, "message": "refused"}])
def test_a_step_without_calls_tells_of_none(
    tasks: Service, simulator: Simulator, step: dict[str, Any]
) -> None:
    bench = Workbench(tasks, simulator, planned(thinks()), step, {"text": "done"})
    bench.run()
    assert told(bench) == []
