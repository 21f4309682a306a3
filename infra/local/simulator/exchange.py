"""The neutral request and reply that both wire protocols translate to and from."""

import json
import re
import secrets
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

from .meetings import Meeting

Json = dict[str, Any]
Provider = Literal["openai", "anthropic"]


@dataclass(frozen=True, slots=True)
class Tool:
    name: str
    description: str = ""
    schema: Json = field(default_factory=dict)

    @property
    def properties(self) -> Json:
        properties = self.schema.get("properties")
        return properties if isinstance(properties, dict) else {}


@dataclass(frozen=True, slots=True)
class ToolCall:
    """`raw`, when set, goes out instead of the arguments: a model may send malformed JSON."""

    name: str
    arguments: Json = field(default_factory=dict)
    raw: str | None = None
    id: str = field(default_factory=lambda: secrets.token_hex(12))

    @property
    def encoded(self) -> str:
        return json.dumps(self.arguments) if self.raw is None else self.raw


@dataclass(frozen=True, slots=True)
class ToolResult:
    text: str
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """Tool results belong to the user, as on the Anthropic wire."""

    role: Literal["user", "assistant"]
    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_results: tuple[ToolResult, ...] = ()

    @property
    def words(self) -> int:
        results = sum(words(result.text) for result in self.tool_results)
        return words(self.text) + results + sum(words(call.encoded) for call in self.tool_calls)


@dataclass(frozen=True, slots=True)
class Request:
    """`must_call`: some tool has to be called; `forced_tool`: this one has to be."""

    provider: Provider
    model: str
    system: str
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    must_call: bool = False
    forced_tool: str | None = None
    stream: bool = False
    include_usage: bool = False

    @property
    def words(self) -> int:
        return max(1, words(self.system) + sum(message.words for message in self.messages))


@dataclass(frozen=True, slots=True)
class Failure:
    status: int
    message: str
    error_type: str | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    failure: Failure | None = None
    delay_ms: float = 0
    hang: bool = False
    kill: bool = False
    cut: bool = False
    mid_stream_error: str | None = None
    meeting: Meeting | None = None

    @property
    def words(self) -> int:
        return max(1, words(self.text) + sum(words(call.encoded) for call in self.tool_calls))


class Frames(NamedTuple):
    """The server-sent events of one reply; only `content` is worth cutting."""

    opening: list[bytes]
    content: list[bytes]
    closing: list[bytes]


class Wire(Protocol):
    """What a provider's module offers the server."""

    def authorised(self, headers: dict[str, str]) -> bool: ...
    def parse(self, body: object) -> Request: ...
    def message(self, request: Request, reply: Reply) -> Json: ...
    def frames(self, request: Request, reply: Reply) -> Frames: ...
    def error(self, status: int, message: str, error_type: str | None = None) -> Json: ...
    def error_frame(self, message: str, error_type: str) -> bytes: ...
    def status_of(self, error_type: str) -> int: ...


def words(text: str) -> int:
    return len(text.split())


def chunks(text: str) -> list[str]:
    """Word by word; joined, they are the text again."""
    return re.findall(r"\S+\s*|\s+", text)


def dumps(value: object) -> bytes:
    """ASCII only, so that a lone surrogate in a prompt cannot break a reply that quotes it."""
    return json.dumps(value, separators=(",", ":")).encode("ascii")
