"""Scripted replies, latencies, and their queues, kept apart by model name."""

from collections import deque
from dataclasses import replace

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from .brain import PLAN, respond
from .exchange import Failure, Json, Reply, Request, ToolCall
from .meetings import Meeting


class _Scripted(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=to_camel, validate_by_name=True
    )


class ScriptedCall(_Scripted):
    name: str
    arguments: Json = Field(default_factory=dict)
    raw_arguments: str | None = None


class ScriptedReply(_Scripted):
    """Without text, calls, plan or status the brain words the reply, with these effects on it."""

    text: str | None = None
    tool_calls: list[ScriptedCall] | None = None
    plan: Json | None = None
    status: int | None = Field(default=None, ge=400, le=599)
    headers: dict[str, str] = Field(default_factory=dict)
    error_type: str | None = None
    message: str = "scripted failure"
    delay_ms: float = Field(default=0, ge=0)
    hang: bool = False
    kill: bool = False
    cut: bool = False
    mid_stream_error: str | None = None
    meeting: Meeting | None = None

    def to(self, request: Request) -> Reply:
        return replace(
            self._content(request),
            delay_ms=self.delay_ms,
            hang=self.hang,
            kill=self.kill,
            cut=self.cut,
            mid_stream_error=self.mid_stream_error,
            meeting=self.meeting,
        )

    def _content(self, request: Request) -> Reply:
        if self.status is not None:
            failure = Failure(self.status, self.message, self.error_type, self.headers)
            return Reply(failure=failure)
        if self.text is None and self.tool_calls is None and self.plan is None:
            return respond(request)
        calls = [ToolCall(c.name, c.arguments, c.raw_arguments) for c in self.tool_calls or ()]
        if self.plan is not None:
            calls.append(ToolCall(PLAN, self.plan))
        return Reply(self.text or "", tuple(calls))


class Script(_Scripted):
    replies: list[ScriptedReply]
    repeat_last: bool = False


class LatencySetting(_Scripted):
    """Without a model: the latency of every model that has none of its own."""

    latency_ms: float = Field(ge=0)
    model: str | None = None


class Director:
    """Decides each reply: the model's script while it lasts, then the brain."""

    def __init__(self, latency_ms: float = 0) -> None:
        self._queues: dict[str, deque[ScriptedReply]] = {}
        self._repeating: set[str] = set()
        self._latency_ms = latency_ms
        self._latencies: dict[str, float] = {}

    def put(self, model: str, script: Script) -> None:
        self.drop(model)
        self._queues[model] = deque(script.replies)
        if script.repeat_last:
            self._repeating.add(model)

    def drop(self, model: str) -> None:
        self._queues.pop(model, None)
        self._repeating.discard(model)

    def set_latency(self, setting: LatencySetting) -> None:
        if setting.model is None:
            self._latency_ms = setting.latency_ms
        else:
            self._latencies[setting.model] = setting.latency_ms

    def reply(self, request: Request) -> Reply:
        """The delay of the reply includes the model's latency."""
        scripted = self._next(request.model)
        reply = scripted.to(request) if scripted else respond(request)
        latency = self._latencies.get(request.model, self._latency_ms)
        return replace(reply, delay_ms=reply.delay_ms + latency)

    def _next(self, model: str) -> ScriptedReply | None:
        queue = self._queues.get(model)
        if not queue:
            return None
        if len(queue) == 1 and model in self._repeating:
            return queue[0]
        return queue.popleft()
