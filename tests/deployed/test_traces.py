"""One request is one trace: from the API over the bus, the workflow, the model and its tools, to
what is pushed."""

import uuid
from typing import Any

import pytest

from tests.platform import Platform, Socket, eventually
from tests.traces import Span, spans_of

pytestmark = [pytest.mark.deployed, pytest.mark.e2e]

EVERY_TASK_HAS = {
    ("tasks", "POST /agents/{agent_id}/tasks"),
    ("tasks", "publish TaskCreated"),
    ("tasks", "process TaskCreated"),
    ("tasks", "initialize_task"),
    ("tasks", "publish TaskStarted"),
    ("tasks", "plan_task"),
    ("tasks", "execute_step"),
    ("tasks", "execute_tool calculator"),
    ("tasks", "complete_task"),
    ("tasks", "publish TaskCompleted"),
    ("agents", "process TaskCreated"),
    ("events", "process TaskCompleted"),
    ("graphql", "process TaskCompleted"),
    ("status", "process TaskCreated"),
    ("status", "process TaskCompleted"),
    ("status", "push"),
}


def pushed_until_completed(socket: Socket) -> list[dict[str, Any]]:
    frames = [socket.receive("update")]
    while frames[-1]["event"] != "TaskCompleted":
        frames.append(socket.receive("update"))
    return frames


def test_a_task_is_one_trace_that_begins_with_its_client(platform: Platform) -> None:
    trace_id, client_span = uuid.uuid4().hex, uuid.uuid4().hex[:16]
    with platform.api() as api, platform.socket() as socket:
        agent = platform.calculating_agent(api)
        socket.subscribe(agent["id"])
        answer = api.post(
            f"/agents/{agent['id']}/tasks",
            json={"description": "What is 12 * (7 + 3)?"},
            headers={"traceparent": f"00-{trace_id}-{client_span}-01"},
        )
        assert answer.status_code == 201, answer.text
        frames = pushed_until_completed(socket)

    wanted = EVERY_TASK_HAS | {("tasks", f"chat {agent['model']}")}

    def told() -> list[Span] | None:
        spans = spans_of(platform, trace_id)
        names = {(span.service, span.name) for span in spans}
        return spans if names >= wanted and not _in_the_air(spans, client_span) else None

    spans = eventually(told, seconds=30, every=0.5) or spans_of(platform, trace_id)
    assert wanted <= {(span.service, span.name) for span in spans}
    assert not _in_the_air(spans, client_span)
    by_id = {span.id: span for span in spans}
    (root,) = [span for span in spans if span.parent == client_span]
    assert root.name == "POST /agents/{agent_id}/tasks"
    assert root.attributes["http.response.status_code"] == "201"
    assert root.attributes["aws.request_id"] == answer.headers["x-request-id"]
    assert answer.headers["traceresponse"] == f"00-{trace_id}-{root.id}-01"
    of_tasks = [frame for frame in frames if frame["event"].startswith("Task")]
    assert {frame["traceparent"].split("-")[1] for frame in of_tasks} == {trace_id}

    above = {(s.name, by_id[s.parent].name) for s in spans if s.parent in by_id}
    assert ("execute_tool calculator", "execute_step") in above
    assert (f"chat {agent['model']}", "plan_task") in above
    assert ("publish TaskCompleted", "execute_step") in above
    assert ("push", "process TaskCompleted") in above


def _in_the_air(spans: list[Span], client_span: str) -> list[Span]:
    """A function tells its spans when it ends: those that follow from them may be told before."""
    known = {client_span} | {span.id for span in spans}
    return [span for span in spans if span.parent not in known]


def test_a_trace_that_is_not_to_be_sampled_is_passed_on_and_not_told(platform: Platform) -> None:
    trace_id = uuid.uuid4().hex
    with platform.api() as api, platform.socket() as socket:
        agent = platform.calculating_agent(api)
        socket.subscribe(agent["id"])
        headers = {"traceparent": f"00-{trace_id}-{'1' * 16}-00"}
        answer = api.post(
            f"/agents/{agent['id']}/tasks", json={"description": "Quietly"}, headers=headers
        )
        assert answer.headers["traceresponse"].startswith(f"00-{trace_id}-")
        frames = pushed_until_completed(socket)
    assert frames[-1]["traceparent"].startswith(f"00-{trace_id}-")
    assert frames[-1]["traceparent"].endswith("-00")
    assert spans_of(platform, trace_id) == []


@pytest.mark.parametrize("nonsense", ["", "x", "00-" + "0" * 32 + "-" + "1" * 16 + "-01", "%F0%9F"])
def test_a_request_with_nonsense_for_a_trace_begins_one(platform: Platform, nonsense: str) -> None:
    with platform.api() as api:
        answer = api.get("/agents", headers={"traceparent": nonsense})
    assert answer.status_code == 200, answer.text
    trace_id = answer.headers["traceresponse"].split("-")[1]
    (span,) = eventually(lambda: spans_of(platform, trace_id), seconds=30, every=0.5)
    assert (span.service, span.name, span.parent) == ("agents", "GET /agents", None)
