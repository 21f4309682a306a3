from collections.abc import Iterator

import pytest

from tests.service import Service, running
from tests.strategies import emptied


@pytest.fixture(scope="module")
def running_tasks() -> Iterator[Service]:
    with running("tasks") as service:
        yield service


@pytest.fixture
def tasks(running_tasks: Service) -> Iterator[Service]:
    with emptied(running_tasks):
        yield running_tasks
