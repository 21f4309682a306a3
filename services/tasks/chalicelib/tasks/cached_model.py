"""A model that gives the same answer to the same question for an hour, if its owner wants that."""

import hashlib
import json
from collections.abc import AsyncGenerator, AsyncIterable
from typing import Any

from chalicelib.tasks.models import AgentSnapshot
from common.cache import MODEL_RESPONSE, Cache, Entry
from strands.models import Model

_OF_THE_ANSWER = ("llmProvider", "model", "temperature", "maxTokens")
_FREE = {"inputTokens": 0, "outputTokens": 0, "totalTokens": 0}


class CachedModel(Model):
    """Answers are kept apart by owner, and by everything that the answer depends on. Only what was
    said to its end is kept; an answer from the cache uses no tokens."""

    def __init__(self, model: Model, cache: Cache, agent: AgentSnapshot) -> None:
        self._model = model
        self._cache = cache
        parameters = {name: agent.configuration.get(name) for name in _OF_THE_ANSWER}
        self._asked_by = [agent.user_id, parameters]

    def update_config(self, **model_config: Any) -> None:
        self._model.update_config(**model_config)

    def get_config(self) -> Any:
        return self._model.get_config()

    def structured_output(self, *args: Any, **kwargs: Any) -> AsyncGenerator[dict[str, Any], None]:
        return self._model.structured_output(*args, **kwargs)

    async def stream(
        self,
        messages: list[Any],
        tool_specs: list[Any] | None = None,
        system_prompt: str | None = None,
        **options: Any,
    ) -> AsyncIterable[Any]:
        said = [{"role": m["role"], "content": m["content"]} for m in messages]
        question = [said, tool_specs, system_prompt, options.get("tool_choice")]
        name = _digest([*self._asked_by, *question])
        known = self._cache.get(MODEL_RESPONSE, name)
        if known is not None:
            for event in known:
                yield event
            return
        heard = []
        async for event in self._model.stream(messages, tool_specs, system_prompt, **options):
            heard.append(event)
            yield event
        if any("messageStop" in event for event in heard):
            kept = [_free(event) for event in heard]
            self._cache.fill(MODEL_RESPONSE, name, Entry(1, kept))


def _free(event: Any) -> Any:
    if "metadata" not in event:
        return event
    return {"metadata": {"usage": _FREE, "metrics": {"latencyMs": 0}}}


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
