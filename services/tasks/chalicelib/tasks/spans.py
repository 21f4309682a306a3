"""A span for every call of a model, in OpenTelemetry's words; of what is said nothing is told."""

from typing import Any

from chalicelib.tasks.models import AgentSnapshot
from common.tracing import Kind, Span, Value, begin
from strands.hooks import AfterModelCallEvent, BeforeModelCallEvent, HookProvider, HookRegistry


class ModelSpans(HookProvider):
    """Each try is a call. To be the last of the hooks: what refuses a call before it is made makes
    no span, and what waits after it is not counted."""

    def __init__(self, agent: AgentSnapshot) -> None:
        provider, model = agent.configuration["llmProvider"], agent.configuration["model"]
        self._name = f"chat {model}"
        self._about: dict[str, Value] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": provider,
            "gen_ai.request.model": model,
            "gen_ai.agent.id": agent.id,
        }
        self._span: Span | None = None

    def register_hooks(self, registry: HookRegistry, **_: Any) -> None:
        registry.add_callback(BeforeModelCallEvent, self._before_call)
        registry.add_callback(AfterModelCallEvent, self._after_call)

    def _before_call(self, event: BeforeModelCallEvent) -> None:
        self._span = begin(self._name, Kind.CLIENT, self._about)

    def _after_call(self, event: AfterModelCallEvent) -> None:
        if self._span is None:
            return
        if event.stop_response:
            used = event.stop_response.message["metadata"]["usage"]
            self._span.attributes["gen_ai.usage.input_tokens"] = used["inputTokens"]
            self._span.attributes["gen_ai.usage.output_tokens"] = used["outputTokens"]
        self._span.end(event.exception)
        self._span = None
