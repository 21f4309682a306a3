"""Fixtures of all tests: a service in process over moto, and the running platform."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, settings

from tests.platform import Platform
from tests.redis_server import redis_server
from tests.service import Service, running

settings.register_profile(
    "project",
    max_examples=100,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("project")

# No test may reach a real account, whatever the shell around it is configured for.
os.environ |= {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What waits for the platform comes first, so that the rest runs while it waits."""
    items.sort(key=lambda item: item.get_closest_marker("deployed") is None)


@pytest.fixture
def service() -> Iterator[Callable[[str], Service]]:
    """`service("agents")`: that service's app over its own moto table, one service to a test."""
    with ExitStack() as stack:
        yield lambda name: stack.enter_context(running(name))


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A redis-server that the tests of this process share; each takes keys of its own."""
    with redis_server() as url:
        yield url


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    """The running platform; a test that asks for it is marked `deployed`."""
    platform = Platform.from_file()
    with platform.simulator:
        yield platform
