"""How the simulated model words things."""

import json
import re

from .arithmetic import find_expression, solve

_GREETING = re.compile(r"^\W*(?:hi|hello|hey|good (?:morning|evening|afternoon))\b", re.I)
_CAPITAL = re.compile(r"\bcapital of (?:the )?([A-Za-z ]+?)\W*$", re.I)
_CAPITALS = {
    "france": "Paris",
    "germany": "Berlin",
    "italy": "Rome",
    "japan": "Tokyo",
    "spain": "Madrid",
    "united kingdom": "London",
    "united states": "Washington, D.C.",
}
_LONGEST = 1000


def quote(text: str, longest: int = 200) -> str:
    line = " ".join(text.split())
    return f'"{line if len(line) <= longest else line[: longest - 1] + "…"}"'


def answer(task: str) -> str:
    """What can be said without steps or tools."""
    if solved := solve(task):
        return solved
    if capital := _CAPITAL.search(task):
        country = capital[1].lower()
        if country in _CAPITALS:
            return f"The capital of {capital[1]} is {_CAPITALS[country]}."
    if _GREETING.match(task):
        return "Hello! What can I do for you?"
    return f"You asked {quote(task)}. This is the simulated model's short answer to it."


def plain(output: str) -> str:
    """The value inside a tool's JSON, or the output as it is."""
    try:
        value = json.loads(output)
    except (ValueError, RecursionError):
        value = output
    if isinstance(value, dict):
        bare = value.keys() == {"result"}
        said = ", ".join(str(each) if bare else f"{k}: {_said(each)}" for k, each in value.items())
    else:
        said = _said(value)
    return said if len(said) <= _LONGEST else said[: _LONGEST - 1] + "…"


def _said(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def results(outputs: list[tuple[str, str]], task: str) -> str:
    """States what came out of each (step, output)."""
    said = [(step, plain(output)) for step, output in outputs]
    numbers = [text for _, text in said if re.fullmatch(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?", text)]
    expression = find_expression(task)
    if len(said) == 1 and numbers and expression:
        return f"{expression} = {numbers[0]}"
    if len(said) == 1:
        return f"The answer is {numbers[0]}." if numbers else f"Here is the result: {said[0][1]}"
    return "Here is what came out. " + " ".join(f"{step}: {text}." for step, text in said)
