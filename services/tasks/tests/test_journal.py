"""What was done is not done again, wherever an execution breaks off."""

from typing import Any

import pytest
from chalicelib.tasks.tools import MAX_CALLS

from infra.tests.simulator_client import PROVIDERS, Simulator
from services.tasks.tests.workbench import (
    ADA,
    NoAnswer,
    Toolbox,
    Workbench,
    calls,
    planned,
    thinks,
    tool,
    uses,
)
from tests.service import Service

pytestmark = pytest.mark.filterwarnings("ignore:Native structured output")
TWO_CALLS = calls(("lookup", {"n": 1}), ("lookup", {"n": 2}))


class Killed(BaseException):
    """The process ends here: nothing that it would have done next is done."""


def killed_at(bench: Workbench, call: int, after: bool) -> None:
    """The process ends when the tool is called for this time: before it works, or after."""
    works, count = bench.toolbox.behaviour, [0]

    def behave(request: dict[str, Any]) -> Any:
        count[0] += 1
        if count[0] != call:
            return works(request)
        if after:
            bench.toolbox.calls.append(request)
        raise Killed

    bench.toolbox.behaviour = behave


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("call", [1, 2])
@pytest.mark.parametrize("after", [True, False])
def test_a_step_that_is_killed_at_a_tool_goes_on_there(
    tasks: Service, simulator: Simulator, provider: str, call: int, after: bool
) -> None:
    script = planned(thinks()), TWO_CALLS, {"text": "three"}, {"text": "done"}
    bench = Workbench(tasks, simulator, *script, llmProvider=provider, tools=[tool("lookup")])
    killed_at(bench, call, after)
    bench.plan()
    with pytest.raises(Killed):
        bench.step()
    assert bench.run()["status"] == "completed"
    assert bench.get()["plan"]["steps"][0]["output"] == "three"
    assert len(bench.asked()) == 4, "no turn of the model is repeated"
    keys = [each["idempotencyKey"] for each in bench.toolbox.calls]
    assert len(set(keys)) == 2
    assert len(keys) == 2 + after, "what may have happened is called again, with the same key"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_unsafe_tool_is_not_called_again_until_a_person_settles_it(
    tasks: Service, simulator: Simulator, provider: str
) -> None:
    script = planned(thinks()), TWO_CALLS, {"text": "three"}, {"text": "done"}
    unsafe = tool("lookup", sideEffects="unsafe")
    bench = Workbench(tasks, simulator, *script, llmProvider=provider, tools=[unsafe])
    killed_at(bench, call=1, after=True)
    bench.plan()
    with pytest.raises(Killed):
        bench.step()
    assert bench.run()["error"]["code"] == "TOOL_OUTCOME_UNKNOWN"
    assert len(bench.toolbox.calls) == 1
    (open_call,) = bench.invocations()
    assert (open_call["status"], open_call["output"]) == ("started", None)
    assert bench.post("/retry").status == 200
    assert bench.run()["error"]["code"] == "TOOL_OUTCOME_UNKNOWN", "nobody has settled it"
    settled = {"outcome": "succeeded", "output": {"doubled": 2}}
    assert bench.post(f"/tool-calls/{open_call['id']}", settled).status == 200
    assert bench.post(f"/tool-calls/{open_call['id']}", settled).status == 409
    assert bench.post("/retry").status == 200
    assert bench.run()["status"] == "completed"
    assert [each["parameters"]["n"] for each in bench.toolbox.calls] == [1, 2]
    assert len(bench.asked()) == 4


@pytest.mark.parametrize(("outcome", "calls_made"), [("not_called", 2), ("failed", 1)])
def test_a_settled_call_is_made_or_has_failed_as_the_person_says(
    tasks: Service, simulator: Simulator, outcome: str, calls_made: int
) -> None:
    step = uses("lookup", parameters={"n": 1})
    unsafe = tool("lookup", sideEffects="unsafe")
    bench = Workbench(tasks, simulator, planned(step), tools=[unsafe])
    killed_at(bench, call=1, after=True)
    bench.plan()
    with pytest.raises(Killed):
        bench.step()
    bench.run()
    (open_call,) = bench.invocations()
    body = {"outcome": outcome, "output": "it was refused"}
    assert bench.post(f"/tool-calls/{open_call['id']}", body).status == 200
    bench.post("/retry")
    assert bench.run()["status"] == "completed"
    assert len(bench.toolbox.calls) == calls_made
    if outcome == "failed":
        assert "it was refused" in bench.get()["plan"]["steps"][0]["output"]


def test_an_unsafe_tool_that_does_not_answer_stops_the_task(
    tasks: Service, simulator: Simulator
) -> None:
    toolbox = Toolbox()

    def silent(request: dict[str, Any]) -> Any:
        raise NoAnswer

    toolbox.behaviour = silent
    unsafe = tool("lookup", sideEffects="unsafe")
    step = uses("lookup", parameters={"n": 1})
    bench = Workbench(tasks, simulator, planned(step), toolbox=toolbox, tools=[unsafe])
    assert bench.run()["error"]["code"] == "TOOL_OUTCOME_UNKNOWN"
    assert len(toolbox.calls) == 1


def test_a_failed_task_goes_on_where_it_failed(tasks: Service, simulator: Simulator) -> None:
    script = planned(thinks(), thinks()), {"text": "one"}, {"status": 400}, {"text": "two"}
    bench = Workbench(tasks, simulator, *script, {"text": "done"})
    failed = bench.run()
    assert (failed["status"], failed["error"]["code"]) == ("failed", "LLM_REFUSED")
    assert bench.post("/retry").status == 200
    assert [s["status"] for s in bench.get()["plan"]["steps"]] == [
        "completed",
        "running",
        "pending",
    ]
    task = bench.run()
    assert (task["status"], task["result"], task["error"]) == ("completed", "done", None)
    assert [step["output"] for step in task["plan"]["steps"]] == ["one", "two", "done"]
    assert (task["attempt"], len(bench.asked())) == (2, 5)
    assert [each["attempt"] for each in bench.announced("TaskRetried")] == [2]
    assert bench.post("/retry").status == 409


def test_what_an_attempt_took_is_counted_once(tasks: Service, simulator: Simulator) -> None:
    """The turns before a failure are on record when the step is tried again."""
    call = calls(("lookup", {"n": 1}))
    script = planned(thinks()), call, {"status": 400}, {"text": "one"}, {"text": "done"}
    bench = Workbench(tasks, simulator, *script, tools=[tool("lookup")])
    failed = bench.run()
    assert (failed["status"], len(bench.asked())) == ("failed", 3)
    bench.post("/retry")
    task = bench.run()
    assert (task["status"], len(bench.asked())) == ("completed", 5)
    used = tasks.request("GET", "/usage", by=ADA).body["tokensPerDay"]["used"]
    assert 0 < failed["tokens"] < task["tokens"] == used


def test_what_is_left_of_an_earlier_attempt_does_not_end_the_next(
    tasks: Service, simulator: Simulator
) -> None:
    bench = Workbench(tasks, simulator, {"status": 400})
    bench.run()
    bench.post("/retry")
    late = {"taskId": bench.task_id, "attempt": 1}
    assert tasks.call("handle_error", late) == {"outcome": "stopped"}
    assert bench.run()["status"] == "completed"


def test_a_retry_needs_room_among_the_active_tasks(tasks: Service, simulator: Simulator) -> None:
    bench = Workbench(tasks, simulator, {"status": 400})
    bench.run()
    assert tasks.request("GET", "/usage").body["activeTasks"]["used"] == 0
    bench.post("/retry")
    assert tasks.request("GET", "/usage").body["activeTasks"]["used"] == 1


def test_a_step_without_time_for_a_turn_goes_on_in_the_next_function(
    tasks: Service, simulator: Simulator
) -> None:
    script = planned(thinks()), TWO_CALLS, {"text": "three"}, {"text": "done"}
    bench = Workbench(tasks, simulator, *script, tools=[tool("lookup")])
    works = bench.toolbox.behaviour

    def slow(request: dict[str, Any]) -> Any:
        tasks.seconds_left = 10
        return works(request)

    bench.toolbox.behaviour = slow
    bench.plan()
    try:
        assert bench.step() == "continue"
    finally:
        tasks.seconds_left = 300
    bench.toolbox.behaviour = works
    assert bench.run()["status"] == "completed"
    assert (len(bench.asked()), len(bench.toolbox.calls)) == (4, 2)


def test_a_provider_that_hangs_up_for_good_is_not_asked_without_end(
    tasks: Service, simulator: Simulator
) -> None:
    """Without time for another try the failure is told, not put off to the next function."""
    bench = Workbench(tasks, simulator, planned(thinks()), {"status": 503}, repeat_last=True)
    bench.plan()
    tasks.seconds_left = 135.05
    try:
        assert bench.step() == "failed"
    finally:
        tasks.seconds_left = 300
    assert bench.get()["error"]["code"] == "LLM_UNAVAILABLE"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_endless_loop_of_tools_is_bounded(
    tasks: Service, simulator: Simulator, provider: str
) -> None:
    loop = calls(("lookup", {"n": 1}))
    bench = Workbench(
        tasks,
        simulator,
        *(planned(thinks()), loop),
        repeat_last=True,
        llmProvider=provider,
        tools=[tool("lookup")],
    )
    assert bench.run()["error"]["code"] == "BUDGET_EXCEEDED"
    assert len(bench.toolbox.calls) <= MAX_CALLS


def test_too_many_calls_in_one_turn_are_bounded(tasks: Service, simulator: Simulator) -> None:
    many = calls(*(("lookup", {"n": n}) for n in range(MAX_CALLS + 10)))
    bench = Workbench(tasks, simulator, planned(thinks()), many, tools=[tool("lookup")])
    assert bench.run()["error"]["code"] == "BUDGET_EXCEEDED"
    assert len(bench.toolbox.calls) == MAX_CALLS


def raw(arguments: str) -> dict[str, Any]:
    return {"toolCalls": [{"name": "lookup", "rawArguments": arguments}]}


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    "arguments",
    ['{"n": NaN}', '{"n": 1e999}', '{"n":', "[]", '"n"', '{"n": {"n": 1}}',
     '{"n": ' + '{"a":' * 100 + "1" + "}" * 101, '{"n": ' + "[" * 5000 + "]" * 5000 + "}"],
    ids=["nan", "infinite", "cut", "list", "text", "object", "deep", "very deep"],
)  # fmt: skip
def test_arguments_that_make_no_sense_are_no_call(
    tasks: Service, simulator: Simulator, provider: str, arguments: str
) -> None:
    script = planned(thinks()), raw(arguments), {"text": "ok"}, {"text": "done"}
    bench = Workbench(tasks, simulator, *script, llmProvider=provider, tools=[tool("lookup")])
    task = bench.run()
    assert bench.toolbox.calls == []
    assert task["status"] == "completed" or task["error"]["code"] in ("LLM_UNUSABLE", "LLM_REFUSED")


def test_a_huge_result_is_cut_for_the_model_and_kept_whole(
    tasks: Service, simulator: Simulator
) -> None:
    toolbox = Toolbox()
    toolbox.behaviour = lambda request: {"found": "x" * 900_000}
    script = planned(thinks()), calls(("lookup", {"n": 1})), {"text": "long"}, {"text": "done"}
    bench = Workbench(tasks, simulator, *script, toolbox=toolbox, tools=[tool("lookup")])
    assert bench.run()["status"] == "completed"
    assert len(str(bench.asked()[2]["body"])) < 40_000
    (invocation,) = bench.invocations()
    assert len(invocation["output"]) > 900_000


def test_a_conflict_of_two_executions_of_a_step_lets_one_go_on(
    tasks: Service, simulator: Simulator
) -> None:
    from common.errors import Conflict

    script = planned(thinks()), {"text": "one"}, {"text": "done"}
    bench = Workbench(tasks, simulator, *script)
    bench.plan()
    journals = tasks.module.store().journals  # type: ignore[attr-defined]
    late = journals.open(bench.task_id, "0000")
    assert bench.step() == "completed"
    from chalicelib.tasks.models.journal import Turn

    with pytest.raises(Conflict):
        late.add_turn(Turn(messages=[{"role": "assistant", "content": [{"text": "another"}]}]))
