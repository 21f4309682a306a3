"""A hundred tasks whose models or functions fail at some call, carried out once for all tests of a
run: whichever process comes first does it, the others read what came of it.

Each task asks its model four times when nothing fails: for the plan, for the use of a tool, for
what follows from it, and for the answer.
"""

import fcntl
import json
import os
import tempfile
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.platform import CALCULATOR, Api, Platform, eventually

CASES = 100
AT_ONCE = 8
CALLS = 4
"""Of the model, when nothing fails."""
ATTEMPTS = 4
"""Of a function by the state machine: one, and three retries."""
RESULT = "So it is five."
RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID", uuid.uuid4().hex)
FOLDER = Path(tempfile.gettempdir()) / f"faults-{RUN}"
Json = dict[str, Any]

REPLIES: list[Json] = [
    {"plan": {"steps": [{"type": "reasoning", "description": "Add up"}]}},
    {"toolCalls": [{"name": "calculator", "arguments": {"expression": "2 + 3"}}]},
    {"text": "five"},
    {"text": RESULT},
]


class Case(NamedTuple):
    """`fault` happens `times` times, each instead of an answer to the model's call `call`: the
    function is killed, or the provider refuses. (Providers that are out of order would open the
    breaker, and so fail what other tests do at the same time.)"""

    fault: str
    times: int
    call: int

    @classmethod
    def of(cls, number: int) -> "Case":
        fault = "killed" if number % 10 < 5 else "refused"
        times = (1, 1, 1, 2, ATTEMPTS)[number % 5] if fault == "killed" else 1
        return cls(fault, times, (number // 10) % CALLS)

    @property
    def exhausts(self) -> bool:
        """Whether no retry is left, so that the task fails."""
        return self.fault != "killed" or self.times >= ATTEMPTS

    @property
    def code(self) -> str:
        return "EXECUTION_FAILED" if self.fault == "killed" else "LLM_REFUSED"

    def script(self) -> list[Json]:
        fault: Json = {"kill": True} if self.fault == "killed" else {"status": 400}
        return [*REPLIES[: self.call], *[fault] * self.times, *REPLIES[self.call :]]


class Outcome(NamedTuple):
    """`first` is the task at the end of its first attempt, `task` at its end, after a retry if it
    failed; `asked` are the times at which its model was asked; `tool_runs` counts what the tool
    itself did; `states` are those of the first execution."""

    case: Case
    first: Json
    task: Json
    asked: list[float]
    tool_runs: int
    invocations: int
    states: list[str]
    errors: int

    def __repr__(self) -> str:
        """Short: all of them are shown with an example that fails."""
        return f"<{self.case.fault} {self.case.times} times at {self.case.call}: {self.states[-1]}>"


def outcomes(platform: Platform) -> list[Outcome]:
    with alone():
        file = FOLDER / "outcomes.json"
        if not file.exists():
            with platform.api() as api, ThreadPoolExecutor(AT_ONCE) as pool:
                found = list(pool.map(lambda n: _outcome(platform, api, n), range(CASES)))
            file.write_text(json.dumps(found))
        read = json.loads(file.read_text())
    return [Outcome(Case(*case), *rest) for case, *rest in read]


@contextmanager
def alone() -> Iterator[None]:
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _outcome(platform: Platform, api: Api, number: int) -> Outcome:
    case, model = Case.of(number), f"fault-{RUN}-{number}"
    platform.script(model, *case.script())
    begun = api.task(api.agent(CALCULATOR, model=model)["id"], "Add two and three")
    path = f"/agents/{begun['agentId']}/tasks/{begun['id']}"
    first = task = api.finished(begun, seconds=300)
    if first["status"] == "failed":
        api.post(f"{path}/retry").raise_for_status()
        task = api.finished(begun, seconds=300)
    trace = api.get(f"{path}/trace").raise_for_status().json()
    calls = [call for step in trace["steps"] for call in step["toolInvocations"]]
    return Outcome(
        case,
        first,
        task,
        [request["receivedAt"] for request in platform.model_requests(model)],
        sum(runs_of(platform, call["id"]) for call in calls),
        len(calls),
        _states(platform, f"{begun['id']}-1"),
        _errors(api, begun["id"]) if case.exhausts else 0,
    )


def runs_of(platform: Platform, key: str) -> int:
    """How often the tool did its work, by its own log."""
    found = platform.aws("logs").filter_log_events(
        logGroupName="/agentic/local/tools", filterPattern=f'"{key}"'
    )
    return sum(f"calculated {key}" in event["message"] for event in found["events"])


def _states(platform: Platform, execution: str) -> list[str]:
    """The states at the machine's top that its execution entered."""
    pages = platform.aws("stepfunctions").get_paginator("get_execution_history")
    arn = platform.execution(execution)["executionArn"]
    entered = (
        event["stateEnteredEventDetails"]["name"]
        for page in pages.paginate(executionArn=arn)
        for event in page["events"]
        if "stateEnteredEventDetails" in event
    )
    return list(entered)


def _errors(api: Api, task_id: str) -> int:
    """How often its failure was announced as an error."""

    def told() -> list[Json]:
        items = api.get("/errors", params={"limit": 100}).raise_for_status().json()["items"]
        return [item for item in items if task_id in json.dumps(item)]

    return len(eventually(told, seconds=30, every=0.5))
