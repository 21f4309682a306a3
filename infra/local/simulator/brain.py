"""Decides what the simulated model replies: the same request always gets the same answer."""

import re
from collections.abc import Sequence
from typing import TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from .arithmetic import find_expression, solve
from .exchange import Json, Message, Reply, Request, Tool, ToolCall
from .phrases import answer, plain, quote, results
from .planning import plan
from .schemas import minimal
from .skills import arguments, asks_note, calls


class _DescribedTool(BaseModel):
    name: str
    description: str = ""
    parameters: Json = {}


class _Outcome(BaseModel):
    step: str
    output: str


_Listed = TypeVar("_Listed", bound=BaseModel)
_DescribedTools = TypeAdapter(list[_DescribedTool])
_Outcomes = TypeAdapter(list[_Outcome])
PLAN = "TaskPlan"
_STEP = re.compile(r"<step\s+type=[\"'](\w+)[\"']\s*>(.*)</step>", re.S)
_STRUCTURED = "StructuredOutputTool"
_CLASS_NAME = re.compile(r"^[A-Z][a-z0-9]+(?:[A-Z][a-z0-9]*)*$")
_PATIENCE = 3


def respond(request: Request) -> Reply:
    structured = _structured_tool(request)
    if structured and not _gave_up(request, structured):
        return Reply(tool_calls=(_structured_call(structured, request),))
    last = request.messages[-1] if request.messages else Message("user")
    prompt = _prompt(request.messages)
    if last.tool_results:
        return Reply(_tool_results(last, _inside("task", prompt) or prompt))
    if step := _STEP.search(prompt):
        return _step(step[1], step[2].strip(), prompt, request.tools)
    return _converse(prompt, request.tools)


def _structured_tool(request: Request) -> Tool | None:
    """The tool whose arguments are the answer: forced, TaskPlan, or one that looks like a model."""
    by_name = {tool.name: tool for tool in request.tools}
    if request.forced_tool:
        return by_name.get(request.forced_tool, Tool(request.forced_tool))
    if PLAN in by_name:
        return by_name[PLAN]
    marked = [tool for tool in request.tools if _STRUCTURED in tool.description]
    if marked or request.must_call:
        return next(iter(marked or request.tools), None)
    alone = request.tools[0] if len(request.tools) == 1 else None
    return alone if alone and _CLASS_NAME.match(alone.name) else None


def _gave_up(request: Request, tool: Tool) -> bool:
    """A caller that keeps refusing the arguments would otherwise ask for ever."""
    attempts = 0
    for message in reversed(request.messages):
        if message.role == "user" and message.text and not message.tool_results:
            break
        attempts += sum(call.name == tool.name for call in message.tool_calls)
    return attempts >= _PATIENCE


def _structured_call(tool: Tool, request: Request) -> ToolCall:
    if tool.name != PLAN:
        return ToolCall(tool.name, minimal(tool.schema))
    prompt = _prompt(request.messages)
    return ToolCall(PLAN, plan(_inside("task", prompt) or prompt, _described_tools(prompt)))


def _described_tools(prompt: str) -> list[Tool]:
    described = _listed("tools", prompt, _DescribedTools)
    return [Tool(tool.name, tool.description, tool.parameters) for tool in described]


def _step(kind: str, description: str, prompt: str, tools: Sequence[Tool]) -> Reply:
    task = _inside("task", prompt)
    earlier = [(each.step, each.output) for each in _listed("results", prompt, _Outcomes)]
    if kind == "tool_call" and tools:
        asked = next((text for text in (description, task) if _telling(text)), task or description)
        return Reply(tool_calls=(ToolCall(tools[0].name, arguments(tools[0], asked)),))
    if kind == "tool_call":
        return Reply(f"No tool is offered for the step {quote(description)}.")
    if kind == "reasoning":
        return Reply(_reason(description, earlier))
    return Reply(results(earlier, task) if earlier else answer(task or description))


def _reason(description: str, earlier: list[tuple[str, str]]) -> str:
    thought = f"I considered the step {quote(description)}."
    if solved := solve(description):
        return f"{thought} {solved}."
    if earlier:
        return f"{thought} It builds on what is known so far: {plain(earlier[-1][1])}."
    return f"{thought} Nothing stands in its way, so the task can go on."


def _converse(prompt: str, tools: Sequence[Tool]) -> Reply:
    if wanted := calls(prompt, tools):
        return Reply(tool_calls=tuple(wanted))
    if solved := solve(prompt):
        return Reply(f"You asked {quote(prompt)}: {solved}.")
    return Reply(f"You said {quote(prompt)}. Thank you, I am glad to help with that!")


def _tool_results(message: Message, question: str) -> str:
    failures = [result.text for result in message.tool_results if result.failed]
    if failures:
        return "The tool failed: " + " ".join(failures)
    return results([("Tool", result.text) for result in message.tool_results], question)


def _telling(text: str) -> bool:
    return find_expression(text) is not None or asks_note(text)


def _prompt(messages: Sequence[Message]) -> str:
    """The latest user text with a task in it, else the latest one of any kind."""
    said = [message.text for message in messages if message.role == "user" and message.text]
    latest = said[-1] if said else ""
    return next((text for text in reversed(said) if "<task>" in text), latest)


def _inside(tag: str, prompt: str) -> str:
    found = re.search(rf"<{tag}>(.*?)</{tag}>", prompt, re.S)
    return found[1].strip() if found else ""


def _listed(tag: str, prompt: str, adapter: TypeAdapter[list[_Listed]]) -> list[_Listed]:
    """The JSON list in a tag; one that cannot be read counts as empty."""
    found = re.search(rf"<{tag}>(.*)</{tag}>", prompt, re.S)
    try:
        return adapter.validate_json(found[1] if found else "[]")
    except ValidationError:
        return []
