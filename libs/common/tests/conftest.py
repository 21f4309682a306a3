"""The table of a service, without the service."""

from collections.abc import Iterator

import pytest
from common.dynamo import Table
from common.service import table as own_table

from tests.service import Service, running
from tests.strategies import emptied


@pytest.fixture(scope="module")
def some_service() -> Iterator[Service]:
    """For its table and settings; these tests use none of its routes."""
    with running("agents") as service:
        yield service


@pytest.fixture
def stored(some_service: Service) -> Iterator[Service]:
    with emptied(some_service):
        yield some_service


@pytest.fixture
def table(stored: Service) -> Table:
    return own_table()
