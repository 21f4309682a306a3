"""Which offered tool a sentence asks for, and with which arguments."""

import re
from collections.abc import Iterable, Sequence

from .arithmetic import evaluate, find_expression, shown
from .exchange import Json, Tool, ToolCall
from .schemas import kind, minimal

_ASKS_TIME = re.compile(
    r"\bwhat(?:'s| is)? (?:the )?(?:current |exact )?(?:time|date|day)\b|\bwhat (?:time|day|date)\b"
    r"|\bcurrent (?:time|date)\b|\btoday'?s date\b|\btime is it\b|\b(?:time|date) (?:now|today)\b"
    r"|\b(?:tell|give|get|check|look up)(?: me)? the (?:time|date)\b|\buse the clock\b",
    re.I,
)
_ASKS_NOTE = re.compile(r"\b(?:notes?|remember|recall|memori[sz]e|write down)\b", re.I)
_LISTS = re.compile(r"\b(?:list|show|all)\b[^.?!]*\bnotes\b|\b(?:what|which) notes\b", re.I)
_READS = re.compile(
    r"^\W*(?:please |can you |could you )*"
    r"(?:recall|read|get|fetch|look up|show|what|which|do you)\b",
    re.I,
)
_SUBJECT = re.compile(
    r"^.*?\b(?:what (?:is|was|did)|recall|read|get|fetch|look up|show|which|remember)\s+"
    r"(.+?)(?:\s+(?:in|from|to) (?:my|your|the) notes?)?[?.!]*$",
    re.I | re.S,
)
_NAMED = re.compile(r"\b(?:called|named|titled|under|key|as)\s+[\"']?([\w-]+)", re.I)
_SAYING = re.compile(
    r"(?:\bsaying\b|\bthat says\b|\bwith (?:the )?(?:text|value|content)\b|:)\s*(.+)", re.I | re.S
)
_BODY = re.compile(
    r"\b(?:remember|memori[sz]e|note|save|store|write down|put)\b"
    r"(?: down)?(?: that| to)?[:,]?\s+(.+)",
    re.I | re.S,
)
_FACT = re.compile(r"^(?:my |the |our |a )?(.+?)\s+(?:is|are|was|=)\s+(.+)$", re.I | re.S)
_PRONOUN = re.compile(r"^(?:the (?:result|answer)|it|that)\b", re.I)
_FILLER = re.compile(r"\b(?:my|your|the|a|an|notes?|about|on|for|i|said|key)\b", re.I)
_NUMBERS = re.compile(r"-?\d+(?:\.\d+)?")
_QUOTED = re.compile(r"[\"“']([^\"”']{1,200})[\"”']")
_PLACE = re.compile(r"\b(?:in|for|at|about|of|from)\s+((?:[A-Z][\w-]*\s?)+)")
_WHOLE_TEXT = {"query", "question", "text", "input", "prompt", "message", "content", "task"}
_EMPTY_WORDS = {"tool", "call", "with", "from", "that", "this", "find", "lookup"}


def calls(text: str, tools: Sequence[Tool], previous: str | None = None) -> list[ToolCall]:
    """`previous` is the expression that "the result" in the text stands for."""
    wanted: list[Tool | None] = []
    if find_expression(text, previous):
        wanted.append(_find(tools, r"calculat|arithmetic"))
    if _ASKS_TIME.search(text):
        wanted.append(_find(tools, r"clock|time"))
    if asks_note(text):
        wanted.append(_find(tools, r"note"))
    found = [tool for tool in wanted if tool] or [tool for tool in tools if _mentioned(tool, text)]
    return [ToolCall(tool.name, arguments(tool, text, previous)) for tool in found]


def asks_note(text: str) -> bool:
    return _ASKS_NOTE.search(text) is not None


def arguments(tool: Tool, text: str, previous: str | None = None) -> Json:
    """Known skills by the names of their properties; the rest is the smallest valid guess."""
    known: Json = {}
    expression = find_expression(text, previous)
    if expression and "expression" in tool.properties:
        known["expression"] = expression
    if {"action", "key"} <= tool.properties.keys():
        known |= _note(text, previous)
    numbers = iter(_NUMBERS.findall(text))
    filled = minimal(tool.schema) if tool.properties else {}
    guesses = {name: _guess(name, tool.properties.get(name, {}), text, numbers) for name in filled}
    return {**filled, **{k: v for k, v in guesses.items() if v is not None}, **known}


def _guess(name: str, schema: Json, text: str, numbers: Iterable[str]) -> object:
    if schema.keys() & {"enum", "const", "default", "pattern", "$ref", "anyOf"}:
        return next((each for each in schema.get("enum", ()) if str(each) in text), None)
    if kind(schema) in ("integer", "number"):
        number = next(iter(numbers), None)
        return None if number is None else _in_range(number, schema)
    if kind(schema) != "string":
        return None
    if schema.get("format") in ("uri", "url"):
        return next(iter(re.findall(r"https?://[^\s\"'<>]+", text)), None)
    return None if "format" in schema else _phrase(name, text)[: schema.get("maxLength", 500)]


def _in_range(number: str, schema: Json) -> int | float | None:
    value = float(number) if kind(schema) == "number" else int(float(number))
    low, high = schema.get("minimum", value), schema.get("maximum", value)
    return value if low <= value <= high else None


def _phrase(name: str, text: str) -> str:
    if name.lower() not in _WHOLE_TEXT:
        for pattern in (_QUOTED, _PLACE):
            if found := pattern.search(text):
                return found[1].strip()
    return text.strip()


def _find(tools: Sequence[Tool], words: str) -> Tool | None:
    """A tool is told by its name rather than by its description."""
    named = (tool for tool in tools if re.search(words, tool.name, re.I))
    described = (tool for tool in tools if re.search(rf"\b(?:{words})", tool.description, re.I))
    return next(named, None) or next(described, None)


def _mentioned(tool: Tool, text: str) -> bool:
    parts = re.findall(r"[a-z]{4,}", re.sub(r"([A-Z])", r" \1", tool.name).lower())
    said = set(re.findall(r"[a-z]+", text.lower()))
    return bool((set(parts) - _EMPTY_WORDS) & said) or tool.name.lower() in text.lower()


def _note(text: str, previous: str | None) -> Json:
    if _LISTS.search(text):
        return {"action": "list"}
    named = _NAMED.search(text)
    if _READS.search(text):
        subject = _SUBJECT.search(text)
        key = named[1] if named else _slug(subject[1] if subject else text)
        return {"action": "get", "key": key}
    body = _SAYING.search(text) or _BODY.search(text)
    value = (body[1] if body else text).strip().rstrip(".!")
    if previous and _PRONOUN.match(value):
        return {"action": "put", "key": named[1] if named else "result", "value": _worth(previous)}
    fact = _FACT.match(value)
    if named or not fact:
        return {"action": "put", "key": named[1] if named else "note", "value": value}
    return {"action": "put", "key": _slug(fact[1]), "value": fact[2]}


def _worth(expression: str) -> str:
    try:
        return shown(evaluate(expression))
    except (ValueError, ArithmeticError):
        return expression


def _slug(text: str) -> str:
    spoken = re.findall(r"[a-z0-9]+", _FILLER.sub(" ", text.lower()))
    return "-".join(spoken)[:60] or "note"
