from collections.abc import Iterator

import pytest

from tests.service import Service, running
from tests.strategies import emptied


@pytest.fixture(scope="module")
def running_agents() -> Iterator[Service]:
    with running("agents") as service:
        yield service


@pytest.fixture
def agents(running_agents: Service) -> Iterator[Service]:
    with emptied(running_agents):
        yield running_agents
