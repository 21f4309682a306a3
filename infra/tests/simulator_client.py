"""Starts the model simulator and speaks to it as a provider's client would."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
from strands import Agent
from strands.agent.agent_result import AgentResult
from strands.models import Model
from strands.models.anthropic import AnthropicModel
from strands.models.openai import OpenAIModel

ROOT = Path(__file__).parents[2]
PROVIDERS = ("openai", "anthropic")
PATHS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}
KEYS = {"openai": {"authorization": "Bearer key"}, "anthropic": {"x-api-key": "key"}}


class Simulator:
    def __init__(self, url: str) -> None:
        self.url = url
        self.http = httpx.Client(base_url=url, timeout=10)
        self.openai = openai.OpenAI(api_key="key", base_url=f"{url}/v1", max_retries=0, timeout=10)
        self.anthropic = anthropic.Anthropic(api_key="key", base_url=url, max_retries=0, timeout=10)

    def script(self, model: str, *replies: dict[str, Any], repeat_last: bool = False) -> None:
        body = {"replies": replies, "repeatLast": repeat_last}
        assert self.http.put(f"/_control/scripts/{model}", json=body).status_code == 204

    def seen(self, model: str, after: int = 0) -> list[dict[str, Any]]:
        query = httpx.QueryParams(model=model, after=after)
        return list(self.http.get("/_control/requests", params=query).json()["requests"])

    def stats(self, model: str) -> dict[str, float]:
        return dict(self.http.get("/_control/stats", params={"model": model}).json())

    def set_latency(self, milliseconds: float, model: str) -> None:
        body = {"latencyMs": milliseconds, "model": model}
        assert self.http.put("/_control/latency", json=body).status_code == 204

    def ask(self, provider: str, model: str, **body: Any) -> httpx.Response:
        asked = question(model, **body)
        return self.http.post(PATHS[provider], json=asked, headers=KEYS[provider])

    def text(self, provider: str, model: str, **body: Any) -> str:
        answer = self.ask(provider, model, **body).json()
        if provider == "openai":
            return str(answer["choices"][0]["message"]["content"])
        return str(answer["content"][0]["text"])


def question(model: str, text: str = "hi there", **body: Any) -> dict[str, Any]:
    said = [{"role": "user", "content": text}]
    return {"model": model, "max_tokens": 100, "messages": said, **body}


def turn(
    simulator: Simulator, provider: str, model: str, prompt: str, **options: Any
) -> AgentResult:
    """One turn of a fresh Strands agent; `output` names the model of a structured one."""
    client = {"api_key": "key", "max_retries": 0, "timeout": 10}
    output = options.pop("output", None)

    async def take(chosen: Model) -> AgentResult:
        agent = Agent(model=chosen, callback_handler=None, retry_strategy=None, **options)
        return await agent.invoke_async(prompt, structured_output_model=output)

    async def on_anthropic() -> AgentResult:
        given = {**client, "base_url": simulator.url}
        chosen = AnthropicModel(client_args=given, model_id=model, max_tokens=500)
        async with chosen.client:
            return await take(chosen)

    if provider == "anthropic":
        return asyncio.run(on_anthropic())
    given = {**client, "base_url": f"{simulator.url}/v1"}
    return asyncio.run(take(OpenAIModel(client_args=given, model_id=model)))


@contextmanager
def running() -> Iterator[Simulator]:
    command = [sys.executable, "-m", "infra.local.simulator", "--port", "0"]
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            simulator = Simulator(process.stdout.readline().split()[-1])
            with simulator.http, simulator.openai, simulator.anthropic:
                yield simulator
        finally:
            process.terminate()
