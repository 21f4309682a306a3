"""Tasks whose calls of AWS meet a fault, each at one point of its path, carried out once for all
tests of a run.

Each task asks its model four times and its tool once when nothing fails.
"""

import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from tests.faults.cases import CALLS, FOLDER, REPLIES, RUN, alone, runs_of
from tests.platform import CALCULATOR, Api, Platform, eventually

AT_ONCE = 8
CLIENT_TRIES = 4
"""Of a service at its table: a fault that happens as often reaches the service's own code."""
Json = dict[str, Any]


class Point(NamedTuple):
    """A call on the task's path: the next one of this operation that has this in its body."""

    operation: str
    containing: str
    table: str = ""
    skip: int = 0

    @property
    def is_of_the_table(self) -> bool:
        return bool(self.table)


def _written(containing: str, operation: str = "TransactWriteItems", skip: int = 0) -> Point:
    return Point(operation, containing, "tasks", skip)


BEGIN = _written('{"S": "started"}', "PutItem")
END = _written('{"S": "succeeded"}', "PutItem")
INVOKE = Point("Invoke", "idempotencyKey")
TURNS = [
    _written(f"{turn}#TURN#{number:04d}", "PutItem")
    for turn, number in (("plan", 0), ("0000", 0), ("0000", 1), ("0001", 0))
]
POINTS = [
    _written('"TaskCreated"'),
    _written('"TaskStarted"'),
    *(_written('"TaskProgress"', skip=skip) for skip in range(2)),
    _written('"TaskCompleted"'),
    *TURNS,
    BEGIN,
    END,
    INVOKE,
    _written("TASK#", "GetItem"),
    *(_written("JOURNAL#", "Query", skip) for skip in range(2)),
    _written("OUTBOX#", "BatchWriteItem"),
    Point("StartExecution", "taskId"),
    Point("PutEvents", "TaskCreated"),
    Point("PutEvents", "TaskCompleted"),
]
KINDS = ("dropAfter", "dropBefore", "throttle", "delay or duplicate")
WHERE = [
    *((point, kind, True) for kind in KINDS for point in POINTS),
    *((point, kind, False) for kind in KINDS[:2] for point in (BEGIN, END, INVOKE)),
]
"""The last ones with a tool that may be called twice."""
CASES = len(WHERE)


class Case(NamedTuple):
    """`kind` happens `times` times at the point."""

    point: Point
    kind: str
    times: int
    is_unsafe: bool

    @classmethod
    def of(cls, number: int) -> "Case":
        point, kind, is_unsafe = WHERE[number]
        if kind not in KINDS[:3]:
            # A function that AWS itself called twice would be no fault between it and us; events of
            # several cases are published in one call, which meets the one fault of all of them.
            is_delay = point == INVOKE or (number % 2 and point.operation != "PutEvents")
            kind = "delay" if is_delay else "duplicate"
        lasts = point.is_of_the_table and kind.startswith("drop")
        return cls(point, kind, CLIENT_TRIES if lasts else 1, is_unsafe)

    @property
    def leaves_the_call_open(self) -> bool:
        """Nobody can know whether an unsafe tool did its work: its task must stop there."""
        if not self.is_unsafe or not self.kind.startswith("drop"):
            return False
        lost_begin = self.point == BEGIN and self.kind == "dropAfter"
        lost_end = self.point == END and self.kind == "dropBefore"
        return self.point == INVOKE or lost_begin or lost_end

    @property
    def tool_runs(self) -> int:
        if self.leaves_the_call_open:
            worked = self.point == END or (self.point, self.kind) == (INVOKE, "dropAfter")
            return int(worked)
        # Under the same key, as a tool allows that does not declare itself unsafe.
        again = (self.point, self.kind) in ((INVOKE, "dropAfter"), (END, "dropBefore"))
        return 1 + again

    @property
    def is_answer_lost(self) -> bool:
        """The table took nothing, so that an answer of the model's never got on record."""
        return self.point in TURNS and self.kind == "dropBefore"

    def script(self) -> list[Json]:
        asked = TURNS.index(self.point) + 1 if self.is_answer_lost else 0
        return [*REPLIES[:asked], *REPLIES[max(asked - 1, 0) :]]

    @property
    def model_calls(self) -> int:
        """One more where an answer was lost: nobody else knows it."""
        if self.leaves_the_call_open:
            return 2
        return CALLS + self.is_answer_lost


class Outcome(NamedTuple):
    case: Case
    done: int
    task: Json
    asked: int
    tool_runs: int
    events: list[Json]

    def __repr__(self) -> str:
        """Short: all of them are shown with an example that fails."""
        return f"<{self.case.kind} at {self.case.point.operation}: {self.task['status']}>"


def outcomes(platform: Platform) -> list[Outcome]:
    with alone():
        file = FOLDER / "network.json"
        if not file.exists():
            with platform.api() as api, ThreadPoolExecutor(AT_ONCE) as pool:
                found = list(pool.map(lambda n: _outcome(platform, api, n), range(CASES)))
            file.write_text(json.dumps(found))
        read = json.loads(file.read_text())
    return [Outcome(Case(Point(*point), *case), *rest) for (point, *case), *rest in read]


def _outcome(platform: Platform, api: Api, number: int) -> Outcome:
    case, model = Case.of(number), f"network-{RUN}-{number}"
    platform.script(model, *case.script())
    effects = "unsafe" if case.is_unsafe else "idempotent"
    agent = api.agent(CALCULATOR | {"sideEffects": effects}, model=model)
    with platform.fault(agent["id"], case.kind, case.times, **case.point._asdict()) as fault:
        task = api.finished(_create(api, agent["id"]), seconds=300)
        events = eventually(lambda: _history(api, task), seconds=180, every=1)
        done = fault()["done"]
    path = f"/agents/{task['agentId']}/tasks/{task['id']}/trace"
    trace = api.get(path).raise_for_status().json()
    calls = [call for step in trace["steps"] for call in step["toolInvocations"]]
    runs = sum(runs_of(platform, call["id"]) for call in calls)
    return Outcome(case, done, task, len(platform.model_requests(model)), runs, events)


def _create(api: Api, agent_id: str) -> Json:
    """As a client does that got no answer: again, with the same key."""
    headers = {"Idempotency-Key": str(uuid.uuid4())}

    def answered() -> Any:
        body = {"description": "Add two and three"}
        answer = api.post(f"/agents/{agent_id}/tasks", json=body, headers=headers)
        return answer if answer.status_code == 201 else None

    answer = eventually(answered, seconds=60, every=0.5)
    assert answer, "the task was never created"
    return dict(answer.json())


def _history(api: Api, task: Json) -> list[Json]:
    """The task's events, when those that tell of its whole way have arrived."""
    params = {"taskId": task["id"], "limit": "100"}
    items: list[Json] = api.get("/events", params=params).raise_for_status().json()["items"]
    types = [item["type"] for item in items]
    wanted = {"TaskCreated", "TaskStarted", "TaskProgress"}
    told = 1 + (1 if "TaskFailed" in types else len(task["plan"]["steps"]))
    is_whole = wanted <= set(types) and types.count("TaskProgress") >= told
    return items if is_whole and {"TaskFailed", "TaskCompleted"} & set(types) else []
