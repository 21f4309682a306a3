"""Out of the journal a projection is built again; and nothing is lost or done twice on the way."""

import json
from typing import Any

import boto3
from common.events.base import Event
from common.events.catalogue import consumed_by
from common.events.tasks import TaskCompletedV1, TaskCreatedV1
from hypothesis import given, settings

from infra.replay import recorded
from tests.histories import AGENT, OWNER, histories
from tests.projections import VIEWS, Projection
from tests.service import running
from tests.strategies import emptied


@settings(max_examples=5)
@given(history=histories())
def test_a_projection_is_built_again_out_of_the_journal(history: list[Event]) -> None:
    with running("events") as journal:
        assert journal.consume(*history) == []
        client = boto3.client("dynamodb")
        table = journal.table.name
        told = list(recorded(client, table, "graphql", since="", until="9"))
        part = list(
            recorded(client, table, "graphql", "2030-01-01T00:00:01", "2030-01-01T00:00:03")
        )
    heard = [event for event in history if isinstance(event, consumed_by("graphql"))]
    assert len(told) == len(heard)
    assert {envelope["id"] for envelope in part} <= {"e001", "e002"}
    with running("graphql") as graphql:
        projection = Projection(graphql)
        expected = projection.after(history)
        with emptied(graphql):
            assert graphql.deliver(*map(json.dumps, told)) == []
            assert graphql.buried() == []
            assert VIEWS["graphql"](graphql) == expected


def test_a_thousand_events_are_each_recorded_once() -> None:
    """A third of them come twice, in batches of ten."""
    about: dict[str, Any] = {"agent_id": AGENT, "user_id": OWNER}
    told: list[Event] = []
    for number in range(500):
        task = about | {"task_id": f"t{number}", "aggregate_id": f"t{number}"}
        told.append(TaskCreatedV1(description="d", aggregate_version=1, **task))
        told.append(TaskCompletedV1(result="r", aggregate_version=2, **task))
    arriving = told + told[::3]
    with running("events") as journal:
        for start in range(0, len(arriving), 10):
            assert journal.consume(*arriving[start : start + 10]) == []
        assert journal.buried() == []
        recorded_ids = [json.loads(str(row["detail"]))["eventId"] for row in journal.rows()]
    assert sorted(recorded_ids) == sorted(event.event_id for event in told)
