"""Whatever the order of a history's events, and however often they come: every projection ends as
if they had come once and in order."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.histories import arrivals, histories
from tests.projections import VIEWS, Projection
from tests.service import running


@pytest.fixture(scope="module", params=sorted(VIEWS))
def projection(request: pytest.FixtureRequest) -> Iterator[Projection]:
    with running(request.param) as service:
        yield Projection(service)


@settings(max_examples=8)
@given(data=st.data())
def test_any_arrival_of_a_history_ends_the_same(
    projection: Projection, data: st.DataObject
) -> None:
    history = data.draw(histories())
    arriving = data.draw(arrivals(history))
    assert projection.after(arriving) == projection.after(history)
