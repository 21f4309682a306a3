"""The model providers: one client per container and key, imported only if it is used."""

import asyncio
import os
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from common.secrets import secret
from strands.types.exceptions import ModelThrottledException

if TYPE_CHECKING:
    from strands.models import Model

TIMEOUT_SECONDS = 120.0
DEFAULT_MAX_TOKENS = 4096
_RETRYABLE_TYPES = frozenset({"overloaded_error", "api_error", "rate_limit_error"})


def is_retryable(error: Exception) -> bool:
    """Whether the provider may answer if it is asked again."""
    if isinstance(error, ModelThrottledException):
        return True
    status = getattr(error, "status_code", None)
    if status is None:  # no answer at all, in the words of either SDK or of its HTTP client
        names = {kind.__name__ for kind in type(error).__mro__}
        return bool(names & {"APIConnectionError", "TransportError"})
    return bool(status == 429 or status >= 500 or getattr(error, "type", None) in _RETRYABLE_TYPES)


def model(configuration: dict[str, Any]) -> "Model":
    """The strands model of an agent's configuration, with the key as it is now."""
    provider = configuration["llmProvider"]
    key = secret(os.environ[f"{provider.upper()}_SECRET"])
    url = os.environ.get(f"{provider.upper()}_BASE_URL")
    return _MAKERS[provider](configuration, key, url)


def _openai(configuration: dict[str, Any], key: str, url: str | None) -> "Model":
    from strands.models.openai import OpenAIModel

    names = {"temperature": "temperature", "maxTokens": "max_tokens"}
    params = {
        ours: configuration[theirs]
        for theirs, ours in names.items()
        if configuration.get(theirs) is not None
    }
    return OpenAIModel(
        client=_openai_client(key, url), model_id=configuration["model"], params=params
    )


@lru_cache(maxsize=4)
def _openai_client(key: str, url: str | None) -> Any:
    """Shared by all calls: strands would make one per request, 30 ms of CPU each."""
    import openai

    return openai.AsyncOpenAI(api_key=key, base_url=url, max_retries=0, timeout=TIMEOUT_SECONDS)


def _anthropic(configuration: dict[str, Any], key: str, url: str | None) -> "Model":
    names = ("model", "maxTokens", "temperature")
    return _anthropic_model(_anthropic_client(key, url), *map(configuration.get, names))


@lru_cache(maxsize=32)
def _anthropic_model(
    client: Any, name: str, max_tokens: int | None, temperature: float | None
) -> "Model":
    """Kept, because strands makes a client for each before it can be given the shared one."""
    from strands.models.anthropic import AnthropicModel

    model = AnthropicModel(
        client_args={"api_key": "replaced below"},
        model_id=name,
        max_tokens=max_tokens or DEFAULT_MAX_TOKENS,
        params={} if temperature is None else {"temperature": min(temperature, 1.0)},
    )
    model.client = client
    return model


@lru_cache(maxsize=4)
def _anthropic_client(key: str, url: str | None) -> Any:
    import anthropic

    return anthropic.AsyncAnthropic(
        api_key=key, base_url=url, max_retries=0, timeout=TIMEOUT_SECONDS
    )


_MAKERS = {"openai": _openai, "anthropic": _anthropic}


def preload(provider: str) -> None:
    """The SDKs import most of themselves when they are first used; this uses them once."""
    if provider == "openai":
        from strands.models import openai

        openai.OpenAIModel(client=_openai_client("unused", None), model_id="unused")
        _openai_client("unused", None).chat.completions.create  # noqa: B018 - imports on access
    else:
        _anthropic_model(_anthropic_client("unused", None), "unused", None, None)


@lru_cache(maxsize=1)
def loop() -> asyncio.AbstractEventLoop:
    """One loop per container: the clients' connections live and die with theirs."""
    return asyncio.new_event_loop()
