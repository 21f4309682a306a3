"""The plan of a task: its clauses as reasoning or tool steps, and one response at the end."""

import re
from collections.abc import Sequence

from .arithmetic import find_expression
from .exchange import Json, Tool, ToolCall
from .phrases import answer
from .skills import calls

_NUMBERED = re.compile(r"(?:^|\s)(\d{1,2})[.)]\s+")
_BULLET = re.compile(r"^\s*[-*•]\s+", re.M)
_SEQUENCE = re.compile(
    r";\s+|(?:[,.;]\s*(?:and\s+)?|\s+and\s+)"
    r"(?:then|finally|after that|afterwards|next|lastly)\b[,:]?\s+",
    re.I,
)
_LEAD = re.compile(r"^(?:first(?:ly)?|then|next|finally|lastly|and)\b[,:]?\s+", re.I)
_STEPWISE = re.compile(r"\bstep[ -]by[ -]step\b", re.I)
_MOST_CLAUSES = 12


def plan(task: str, tools: Sequence[Tool]) -> Json:
    steps: list[Json] = []
    said = clauses(task)
    previous: str | None = None
    for clause in said:
        wanted = calls(clause, tools, previous)
        previous = find_expression(clause, previous) or previous
        steps += [_step("tool_call", clause, call=call) for call in wanted]
        if not wanted and len(said) > 1:
            steps.append(_step("reasoning", clause))
    stepwise = _STEPWISE.search(task) is not None
    if stepwise and not any(step["type"] == "reasoning" for step in steps):
        steps.insert(0, _step("reasoning", f"Think about the task: {task.strip()}"))
    if steps:
        return {"steps": [*steps, _step("response", "State the answer to the task")]}
    return {"steps": [_step("response", "Answer the question directly", text=answer(task))]}


def clauses(task: str) -> list[str]:
    """The parts of "first …, then …, finally …", of a list, or of "…; …"; else the whole."""
    text = task.strip()
    parts = _numbered(text) or _bulleted(text) or _SEQUENCE.split(text)
    cleaned = [_LEAD.sub("", part.strip()).strip(" ,;\n") for part in parts]
    return [part for part in cleaned if part][:_MOST_CLAUSES] or [text]


def _numbered(text: str) -> list[str]:
    marks = list(_NUMBERED.finditer(text))
    if len(marks) < 2 or [int(mark[1]) for mark in marks] != list(range(1, len(marks) + 1)):
        return []
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    return [text[mark.end() : end] for mark, end in zip(marks, ends, strict=True)]


def _bulleted(text: str) -> list[str]:
    parts = _BULLET.split(text)
    return parts[1:] if len(parts) > 2 else []


def _step(
    kind: str, description: str, call: ToolCall | None = None, text: str | None = None
) -> Json:
    return {
        "type": kind,
        "description": description,
        "tool": call.name if call else None,
        "parameters": call.arguments if call else None,
        "answer": text,
    }
