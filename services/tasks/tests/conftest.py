import os
from collections.abc import Iterator

import pytest
from chalicelib.tasks import providers

from infra.tests.simulator_client import Simulator
from infra.tests.simulator_client import running as running_simulator
from tests.service import Service, running
from tests.strategies import emptied

PROVIDER_KEYS = ("k" * 32, "the-second-key-of-the-provider", "a3")
"""Few: each has a client of its own, which must be closed."""


@pytest.fixture(scope="module")
def running_tasks() -> Iterator[Service]:
    with running("tasks") as service:
        yield service


@pytest.fixture
def tasks(running_tasks: Service) -> Iterator[Service]:
    with emptied(running_tasks):
        yield running_tasks


@pytest.fixture(scope="module")
def simulator(running_tasks: Service) -> Iterator[Simulator]:
    with running_simulator() as simulator:
        urls = {"OPENAI_BASE_URL": f"{simulator.url}/v1", "ANTHROPIC_BASE_URL": simulator.url}
        os.environ |= urls
        yield simulator
        _close_clients(urls)


def _close_clients(urls: dict[str, str]) -> None:
    loop = providers.loop()
    for make, provider in (
        (providers._openai_client, "OPENAI"),
        (providers._anthropic_client, "ANTHROPIC"),
    ):
        for key in PROVIDER_KEYS:
            loop.run_until_complete(make(key, urls[f"{provider}_BASE_URL"]).close())
        make.cache_clear()
    providers._anthropic_model.cache_clear()
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    providers.loop.cache_clear()
