"""The table of a service, without the service."""

import os
from collections.abc import Iterator

import pytest
from common.dynamo import Table
from common.service import table as own_table

from tests.service import Service, drained, running
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


@pytest.fixture
def dead_letters_url(stored: Service) -> str:
    """Of the service's queue, which is empty then."""
    drained(os.environ["DEAD_LETTERS_URL"])
    return os.environ["DEAD_LETTERS_URL"]
