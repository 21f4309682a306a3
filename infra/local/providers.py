"""Which model answers: the provider whose key is in the environment, else the simulator."""

import os
from typing import NamedTuple

from infra.local.settings import Settings


class Provider(NamedTuple):
    name: str
    default_model: str

    @property
    def key(self) -> str | None:
        return os.environ.get(f"{self.name.upper()}_API_KEY") or None

    @property
    def model(self) -> str:
        if not self.key:
            return "simulated"
        return os.environ.get(f"{self.name.upper()}_MODEL", self.default_model)


PROVIDERS = (Provider("openai", "gpt-4o-mini"), Provider("anthropic", "claude-haiku-4-5"))


def provider_urls(settings: Settings) -> dict[str, str]:
    """An empty URL is the provider's own. `…_BASE_URL` counts for a real key alone."""
    simulated = {"openai": f"{settings.simulator_url}/v1", "anthropic": settings.simulator_url}
    return {
        (name := f"{provider.name.upper()}_BASE_URL"): (
            os.environ.get(name, "") if provider.key else simulated[provider.name]
        )
        for provider in PROVIDERS
    }


def preferred() -> Provider:
    """For the demonstration: the first provider with a key, else OpenAI's simulation."""
    return next((provider for provider in PROVIDERS if provider.key), PROVIDERS[0])
