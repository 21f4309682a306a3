"""Anthropic Messages: the request body in, messages and events out."""

import secrets
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

_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class _Text(BaseModel):
    type: str
    text: str = ""


class _Block(BaseModel):
    type: str
    text: str = ""
    id: str = ""
    name: str = ""
    input: Json = {}
    content: str | list[_Text] | None = None
    is_error: bool | None = None


class _Message(BaseModel):
    role: Literal["user", "assistant"]
    content: str | list[_Block]


class _Tool(BaseModel):
    name: str
    description: str | None = None
    input_schema: Json = {}


class _ToolChoice(BaseModel):
    type: Literal["auto", "any", "tool", "none"] = "auto"
    name: str | None = None


class _Body(BaseModel):
    model: str
    max_tokens: int = Field(ge=1)
    messages: list[_Message] = Field(min_length=1)
    system: str | list[_Text] | None = None
    tools: list[_Tool] | None = None
    tool_choice: _ToolChoice = _ToolChoice()
    stream: bool | None = None


def authorised(headers: dict[str, str]) -> bool:
    return bool(headers.get("x-api-key", "").strip())


def parse(body: object) -> Request:
    """Raises pydantic's ValidationError."""
    asked = _Body.model_validate(body)
    choice = asked.tool_choice
    return Request(
        provider="anthropic",
        model=asked.model,
        system=_text(asked.system),
        messages=tuple(map(_message, asked.messages)),
        tools=() if choice.type == "none" else tuple(map(_tool, asked.tools or ())),
        must_call=choice.type == "any",
        forced_tool=choice.name if choice.type == "tool" else None,
        stream=bool(asked.stream),
        include_usage=True,
    )


def _text(content: str | list[_Text] | None) -> str:
    if isinstance(content, list):
        return "\n".join(block.text for block in content if block.type == "text")
    return content or ""


def _tool(tool: _Tool) -> Tool:
    return Tool(tool.name, tool.description or "", tool.input_schema)


def _message(message: _Message) -> Message:
    if isinstance(message.content, str):
        return Message(message.role, message.content)
    blocks = message.content
    return Message(
        role=message.role,
        text="\n".join(block.text for block in blocks if block.type == "text"),
        tool_calls=tuple(
            ToolCall(block.name, block.input, id=block.id)
            for block in blocks
            if block.type == "tool_use"
        ),
        tool_results=tuple(
            ToolResult(_text(block.content), bool(block.is_error))
            for block in blocks
            if block.type == "tool_result"
        ),
    )


def message(request: Request, reply: Reply) -> Json:
    content: list[Json] = [{"type": "text", "text": reply.text}] if reply.text else []
    content += [_tool_use(call) for call in reply.tool_calls]
    return {
        "id": f"msg_{secrets.token_hex(12)}",
        "type": "message",
        "role": "assistant",
        "model": request.model,
        "content": content,
        "stop_reason": _stop(reply),
        "stop_sequence": None,
        "usage": {"input_tokens": request.words, "output_tokens": reply.words},
    }


def frames(request: Request, reply: Reply) -> Frames:
    start = message(request, Reply()) | {"stop_reason": None}
    content: list[bytes] = []
    if reply.text:
        deltas = [{"type": "text_delta", "text": word} for word in chunks(reply.text)]
        content += _block(0, {"type": "text", "text": ""}, deltas)
    for index, call in enumerate(reply.tool_calls, start=1 if reply.text else 0):
        arguments = {"type": "input_json_delta", "partial_json": call.encoded}
        content += _block(index, _tool_use(call) | {"input": {}}, [arguments])
    stop = {"stop_reason": _stop(reply), "stop_sequence": None}
    closing = [
        _frame({"type": "message_delta", "delta": stop, "usage": {"output_tokens": reply.words}}),
        _frame({"type": "message_stop"}),
    ]
    return Frames([_frame({"type": "message_start", "message": start})], content, closing)


def error(status: int, message: str, error_type: str | None = None) -> Json:
    usual = "api_error" if status >= 500 else "invalid_request_error"
    kind = error_type or _ERROR_TYPES.get(status, usual)
    return {"type": "error", "error": {"type": kind, "message": message}}


def error_frame(message: str, error_type: str) -> bytes:
    return _frame(error(500, message, error_type))


def status_of(error_type: str) -> int:
    return next((status for status, kind in _ERROR_TYPES.items() if kind == error_type), 500)


def _block(index: int, opening: Json, deltas: list[Json]) -> list[bytes]:
    at = {"index": index}
    return [
        _frame({"type": "content_block_start", **at, "content_block": opening}),
        *(_frame({"type": "content_block_delta", **at, "delta": delta}) for delta in deltas),
        _frame({"type": "content_block_stop", **at}),
    ]


def _tool_use(call: ToolCall) -> Json:
    given: object = call.arguments if call.raw is None else call.raw
    return {"type": "tool_use", "id": f"toolu_{call.id}", "name": call.name, "input": given}


def _stop(reply: Reply) -> str:
    return "tool_use" if reply.tool_calls else "end_turn"


def _frame(event: Json) -> bytes:
    return b"event: " + str(event["type"]).encode() + b"\ndata: " + dumps(event) + b"\n\n"
