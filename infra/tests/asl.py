"""A linter of state machines: dangling transitions, tasks that could fail or hang unnoticed, and
paths that are read before anything wrote them.

A shape is the set of paths that are certainly there; `$` alone means that anything may be read.
The input of a machine is what its comment names: `The input is {"taskId", "attempt"}`.
"""

import re
from collections.abc import Iterator
from typing import Any

State = dict[str, Any]
Shape = frozenset[str]

ANYTHING: Shape = frozenset({"$"})
ERROR: Shape = frozenset({"$.Error", "$.Cause"})
_PATH = re.compile(r"(?<![$\w])\$(?:\.\w+)+")
_INPUT = re.compile(r"The input is \{([^}]*)\}")
_ENDS = ("Succeed", "Fail", "Choice")


def lint(machine: State) -> list[str]:
    """What is wrong with it, one sentence each."""
    named = _INPUT.search(machine.get("Comment", ""))
    if not named:
        return ['The comment does not say: The input is {"…"}']
    given = frozenset(f"$.{name}" for name in re.findall(r'"(\w+)"', named[1]))
    return list(_machine(machine, given, caught=False))


def _machine(machine: State, given: Shape, caught: bool) -> Iterator[str]:
    states = machine["States"]
    unknown = {machine["StartAt"], *(n for s in states.values() for n in _next(s))} - set(states)
    if unknown:
        yield from (f"{name} does not exist" for name in sorted(unknown))
        return
    shapes = _shapes(machine, given)
    for name, state in states.items():
        if name not in shapes:
            yield f"{name} is never reached"
            continue
        yield from (f"{name} {wrong}" for wrong in _form(state, caught))
        yield from (f"{name} reads {path}" for path in _unwritten(state, shapes[name]))
        for inner, shape in _inner(state, shapes[name]):
            yield from _machine(inner, shape, caught or "Catch" in state)


def _form(state: State, caught: bool) -> Iterator[str]:
    """What every state must have, whatever the data."""
    kind = state["Type"]
    if "QueryLanguage" in state:
        yield "speaks a language that this linter does not know"
    if kind not in _ENDS and ("Next" in state) == ("End" in state):
        yield "neither goes on nor ends"
    if kind == "Choice" and "Default" not in state:
        yield "has no default"
    if kind in ("Task", "Map", "Parallel"):
        if not caught and not any("States.ALL" in c["ErrorEquals"] for c in state.get("Catch", ())):
            yield "does not catch every failure"
    if kind == "Task":
        yield from _task(state)


def _task(state: State) -> Iterator[str]:
    if not state.get("Retry"):
        yield "does not retry"
    if not any(key in state for key in ("TimeoutSeconds", "TimeoutSecondsPath")):
        yield "has no timeout"
    resource = state["Resource"]
    if "states:startExecution" in resource and not resource.endswith(".sync:2"):
        yield "does not wait for the execution that it starts"


def _next(state: State) -> Iterator[str]:
    yield from (name for name, _ in _edges(state, ANYTHING))


def _shapes(machine: State, given: Shape) -> dict[str, Shape]:
    """What is certainly there when each reachable state begins: on every way that leads to it."""
    found = {machine["StartAt"]: given}
    waiting = [machine["StartAt"]]
    while waiting:
        state = machine["States"][waiting.pop()]
        for name, shape in _edges(state, found[_name(machine, state)]):
            before = found.get(name)
            after = shape if before is None else _common(before, shape)
            if after != before:
                found[name] = after
                waiting.append(name)
    return found


def _name(machine: State, state: State) -> str:
    return next(str(name) for name, each in machine["States"].items() if each is state)


def _common(one: Shape, other: Shape) -> Shape:
    return frozenset(p for p in one | other if _readable(p, one) and _readable(p, other))


def _edges(state: State, given: Shape) -> Iterator[tuple[str, Shape]]:
    """Each state that may follow, and what it is given."""
    for catch in state.get("Catch", ()):
        yield catch["Next"], _stored(given, ERROR, catch.get("ResultPath", "$"))
    for choice in state.get("Choices", ()):
        yield choice["Next"], given | frozenset(_present(choice))
    if "Default" in state:
        yield state["Default"], given
    if "Next" in state:
        yield state["Next"], _output(state, given)


def _output(state: State, given: Shape) -> Shape:
    begun = _below(given, state.get("InputPath", "$"))
    result = begun
    if state["Type"] == "Pass":
        made = state.get("Result", state.get("Parameters"))
        result = begun if made is None else _keys(made)
    elif state["Type"] in ("Task", "Map", "Parallel"):
        result = _keys(state["ResultSelector"]) if "ResultSelector" in state else ANYTHING
    if state["Type"] in ("Pass", "Task", "Map", "Parallel"):
        result = _stored(given, result, state.get("ResultPath", "$"))
    return _below(result, state.get("OutputPath", "$"))


def _stored(given: Shape, result: Shape, at: str | None) -> Shape:
    """`given` with the result at that path."""
    if at is None:
        return given
    if at == "$":
        return result
    kept = {path for path in given if not path.startswith(f"{at}.")}
    return frozenset(kept | {at + path.removeprefix("$") for path in result})


def _below(shape: Shape, at: str | None) -> Shape:
    if at is None:
        return frozenset()
    if at == "$":
        return shape
    inside = {"$" + path.removeprefix(at) for path in shape if path.startswith(f"{at}.")}
    return frozenset(inside) or ANYTHING


def _keys(made: object) -> Shape:
    if not isinstance(made, dict):
        return ANYTHING
    return frozenset(f"$.{key.removesuffix('.$')}" for key in made)


def _inner(state: State, given: Shape) -> Iterator[tuple[State, Shape]]:
    if state["Type"] == "Map":
        yield (
            state["ItemProcessor"],
            _keys(state["ItemSelector"]) if "ItemSelector" in state else ANYTHING,
        )
    for branch in state.get("Branches", ()):
        yield branch, _keys(state["Parameters"]) if "Parameters" in state else given


def _unwritten(state: State, given: Shape) -> Iterator[str]:
    begun = _below(given, state.get("InputPath", "$"))
    if "InputPath" in state and not _readable(str(state["InputPath"]), given):
        yield state["InputPath"]
    for path in sorted(set(_reads(state))):
        if not _readable(path, begun):
            yield path
    for choice in state.get("Choices", ()):
        present = begun | frozenset(_present(choice))
        yield from (p for p in sorted(set(_tests(choice))) if not _readable(p, present))


def _readable(path: str, shape: Shape) -> bool:
    parts = path.split(".")
    above = {".".join(parts[:count]) for count in range(1, len(parts) + 1)}
    return bool(above & shape) or any(known.startswith(f"{path}.") for known in shape)


def _reads(state: State) -> Iterator[str]:
    """The paths of its own input that it names; a result's are not among them."""
    named = ("ItemsPath", "TimeoutSecondsPath", "SecondsPath", "ErrorPath", "CausePath")
    for key in (*named, "TimestampPath", "MaxConcurrencyPath", "HeartbeatSecondsPath"):
        yield from _PATH.findall(state.get(key, ""))
    for key in ("Parameters", "ItemSelector"):
        yield from _references(state.get(key))


def _references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inside in value.items():
            if key.endswith(".$"):
                yield from _PATH.findall(inside)
            yield from _references(inside)
    elif isinstance(value, list):
        for each in value:
            yield from _references(each)


def _present(rule: State) -> Iterator[str]:
    """What is there when this rule holds."""
    if rule.get("IsPresent") is True:
        yield rule["Variable"]
    for each in rule.get("And", ()):
        yield from _present(each)


def _tests(rule: State) -> Iterator[str]:
    """What it compares; asking whether something is there is not reading it."""
    if "Variable" in rule and "IsPresent" not in rule:
        yield rule["Variable"]
    inside = [*rule.get("And", ()), *rule.get("Or", ())]
    for each in [*inside, *([rule["Not"]] if "Not" in rule else [])]:
        yield from _tests(each)
