from collections.abc import Iterator

import pytest

from tests.service import Service, running
from tests.strategies import emptied


@pytest.fixture(scope="module")
def running_auth() -> Iterator[Service]:
    with running("auth") as service:
        yield service


@pytest.fixture
def auth(running_auth: Service) -> Iterator[Service]:
    with emptied(running_auth):
        yield running_auth
