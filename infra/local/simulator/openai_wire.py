"""OpenAI Chat Completions: the request body in, completions and chunks out."""

import json
import time
from typing import Literal

from pydantic import BaseModel, Field

from .exchange import (
    Frames,
    Json,
    Message,
    Reply,
    Request,
    Tool,
    ToolCall,
    ToolResult,
    chunks,
    dumps,
)

_ERROR_TYPES = {401: "authentication_error", 429: "rate_limit_error"}
_CODES = {401: "invalid_api_key", 429: "rate_limit_exceeded"}


class _Part(BaseModel):
    type: str
    text: str = ""


class _Function(BaseModel):
    name: str
    arguments: str = "{}"


class _Call(BaseModel):
    id: str
    function: _Function


class _Message(BaseModel):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[_Part] | None = None
    tool_calls: list[_Call] | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content if part.type == "text")
        return self.content or ""


class _ToolFunction(BaseModel):
    name: str
    description: str | None = None
    parameters: Json | None = None


class _Tool(BaseModel):
    function: _ToolFunction


class _Body(BaseModel):
    model: str
    messages: list[_Message] = Field(min_length=1)
    tools: list[_Tool] | None = None
    tool_choice: Literal["none", "auto", "required"] | _Tool | None = None
    stream: bool | None = None
    stream_options: dict[str, bool] | None = None


def authorised(headers: dict[str, str]) -> bool:
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and bool(key.strip())


def parse(body: object) -> Request:
    """Raises pydantic's ValidationError."""
    asked = _Body.model_validate(body)
    system = [message.text for message in asked.messages if message.role in ("system", "developer")]
    forced = asked.tool_choice if isinstance(asked.tool_choice, _Tool) else None
    return Request(
        provider="openai",
        model=asked.model,
        system="\n".join(system),
        messages=_conversation(asked.messages),
        tools=() if asked.tool_choice == "none" else tuple(map(_tool, asked.tools or ())),
        must_call=asked.tool_choice == "required",
        forced_tool=forced.function.name if forced else None,
        stream=bool(asked.stream),
        include_usage=(asked.stream_options or {}).get("include_usage", False),
    )


def _tool(tool: _Tool) -> Tool:
    function = tool.function
    return Tool(function.name, function.description or "", function.parameters or {})


def _conversation(messages: list[_Message]) -> tuple[Message, ...]:
    """Successive tool messages answer one assistant message, so they become one."""
    conversation: list[Message] = []
    answering = False
    for message in messages:
        if message.role == "tool":
            earlier = conversation.pop().tool_results if answering else ()
            results = (*earlier, ToolResult(message.text))
            conversation.append(Message("user", tool_results=results))
        elif message.role in ("user", "assistant"):
            role: Literal["user", "assistant"] = "user" if message.role == "user" else "assistant"
            calls = tuple(map(_tool_call, message.tool_calls or ()))
            conversation.append(Message(role, message.text, calls))
        answering = message.role == "tool"
    return tuple(conversation)


def _tool_call(call: _Call) -> ToolCall:
    function = call.function
    try:
        arguments = json.loads(function.arguments or "{}")
    except ValueError:
        arguments = None
    if isinstance(arguments, dict):
        return ToolCall(function.name, arguments, id=call.id)
    return ToolCall(function.name, raw=function.arguments, id=call.id)


def message(request: Request, reply: Reply) -> Json:
    spoken: Json = {"role": "assistant", "content": reply.text or None, "refusal": None}
    if reply.tool_calls:
        spoken["tool_calls"] = [_call(call) for call in reply.tool_calls]
    choice = {"index": 0, "message": spoken, "finish_reason": _finish(reply), "logprobs": None}
    envelope = _envelope(request, "chat.completion")
    return {**envelope, "choices": [choice], "usage": _usage(request, reply)}


def frames(request: Request, reply: Reply) -> Frames:
    envelope = _envelope(request, "chat.completion.chunk")

    def chunk(delta: Json, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return _frame({**envelope, "choices": [choice]})

    content = [chunk({"content": word}) for word in chunks(reply.text)]
    for index, call in enumerate(reply.tool_calls):
        shell = {"index": index, **_call(call), "function": {"name": call.name, "arguments": ""}}
        content.append(chunk({"tool_calls": [shell]}))
        piece = {"index": index, "function": {"arguments": call.encoded}}
        content.append(chunk({"tool_calls": [piece]}))
    closing = [chunk({}, _finish(reply))]
    if request.include_usage:
        closing.append(_frame({**envelope, "choices": [], "usage": _usage(request, reply)}))
    return Frames(
        [chunk({"role": "assistant", "content": ""})], content, [*closing, b"data: [DONE]\n\n"]
    )


def error(status: int, message: str, error_type: str | None = None) -> Json:
    usual = "server_error" if status >= 500 else "invalid_request_error"
    kind = error_type or _ERROR_TYPES.get(status, usual)
    code = "context_length_exceeded" if kind == "context_length_exceeded" else _CODES.get(status)
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def error_frame(message: str, error_type: str) -> bytes:
    failure = {"message": message, "type": error_type, "param": None, "code": error_type}
    return _frame({"error": failure})


def status_of(error_type: str) -> int:
    if error_type == "overloaded_error":
        return 503
    return 429 if "rate_limit" in error_type else 500


def _envelope(request: Request, kind: str) -> Json:
    made = time.time_ns()
    identity = {"id": f"chatcmpl-{made:x}", "created": made // 10**9}
    return {**identity, "object": kind, "model": request.model}


def _call(call: ToolCall) -> Json:
    function = {"name": call.name, "arguments": call.encoded}
    return {"id": f"call_{call.id}", "type": "function", "function": function}


def _finish(reply: Reply) -> str:
    return "tool_calls" if reply.tool_calls else "stop"


def _usage(request: Request, reply: Reply) -> Json:
    asked, answered = request.words, reply.words
    total = asked + answered
    return {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": total}


def _frame(event: Json) -> bytes:
    return b"data: " + dumps(event) + b"\n\n"
