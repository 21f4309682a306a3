"""The properties of errors: told in the log, retried, and explained to the client."""

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import SimpleNamespace
from typing import Any

import botocore.endpoint
import pytest
from botocore.exceptions import ClientError
from common import service as parts
from common.events.delivery import MAX_RECEIVES
from common.logs import JsonFormatter
from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st

from tests.agents import CONFIGURATION
from tests.service import Service, bus_envelope, running
from tests.strategies import without_table

ids = st.from_regex(r"[a-z0-9-]{1,20}", fullmatch=True)


class Lines(logging.Handler):
    """What a function wrote into its log, line by line."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter())
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(self.format(record))

    @property
    def errors(self) -> list[dict[str, Any]]:
        lines = [json.loads(text) for text in self.texts]
        return [line for line in lines if line["level"] == "ERROR"]


@contextmanager
def logged() -> Iterator[Lines]:
    lines, root = Lines(), logging.getLogger()
    root.addHandler(lines)
    try:
        yield lines
    finally:
        root.removeHandler(lines)


@pytest.fixture(scope="module")
def agents() -> Iterator[Service]:
    with running("agents") as service:
        yield service


@given(
    where=st.sampled_from(["GET /agents", "POST /agents", "consume"]),
    correlation=ids,
    attempt=st.integers(1, MAX_RECEIVES),
)
def test_property_72_error_logging_with_context(
    agents: Service, where: str, correlation: str, attempt: int
) -> None:
    """Feature: realtime-agentic-api, Property 72: Error logging with context"""
    with logged() as lines, without_table(agents):
        if where == "consume":
            event = agents.module.TaskCompletedV1(  # type: ignore[attr-defined]
                result="r", task_id="t", agent_id="a", user_id="ada", aggregate_id="t",
                aggregate_version=1, correlation_id=correlation,
            )  # fmt: skip
            agents.deliver(json.dumps(bus_envelope(event)), attempt=attempt)
        else:
            method, path = where.split()
            body = {"name": "x", "configuration": CONFIGURATION} if method == "POST" else None
            headers = {"X-Correlation-Id": correlation}
            assert agents.request(method, path, body, headers=headers).status == 500
    assert all("\n" not in text for text in lines.texts)
    (error,) = [line for line in lines.errors if "exception" in line]
    assert error["correlationId"] == correlation
    assert error["timestamp"]
    assert "ResourceNotFoundException" in error["exception"]
    assert "Traceback" in error["exception"]
    if where == "consume":
        assert (error["messageId"], error["attempt"]) == ("0", attempt)


class Faults(ThreadingHTTPServer):
    """DynamoDB as far as it matters here: fails so often, then answers."""

    def __init__(self) -> None:
        self.failures: list[tuple[int, str]] = []
        self.calls = 0
        super().__init__(("127.0.0.1", 0), _Answer)
        Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Answer(BaseHTTPRequestHandler):
    server: Faults

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        failing = self.server.calls < len(self.server.failures)
        status, kind = self.server.failures[self.server.calls] if failing else (200, "")
        self.server.calls += 1
        body = json.dumps({"__type": f"x#{kind}", "message": "m"} if failing else {}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Tests are quiet."""


RETRIABLE = (
    (400, "ThrottlingException"),
    (400, "ProvisionedThroughputExceededException"),
    (500, "InternalServerError"),
    (503, "ServiceUnavailable"),
)
FINAL = (
    (400, "ValidationException"),
    (400, "AccessDeniedException"),
    (400, "ResourceNotFoundException"),
)


@pytest.fixture(scope="module")
def faults() -> Iterator[Faults]:
    server = Faults()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the AWS SDK would have waited before each further try."""
    found: list[float] = []
    monkeypatch.setattr(botocore.endpoint, "time", SimpleNamespace(sleep=found.append))
    return found


@given(
    failures=st.lists(st.sampled_from(RETRIABLE), max_size=6),
    final=st.none() | st.sampled_from(FINAL),
)
def test_property_73_retriable_error_exponential_backoff(
    faults: Faults,
    waits: list[float],
    failures: list[tuple[int, str]],
    final: tuple[int, str] | None,
) -> None:
    """Feature: realtime-agentic-api, Property 73: Retriable error exponential backoff"""
    faults.failures, faults.calls = [*failures, *([final] if final else [])], 0
    waits.clear()
    table = _table_at(faults.url)
    error = ""
    try:
        table.get("PK", "SK")
    except ClientError as failed:
        error = failed.response["Error"]["Code"]
    retried = min(len(failures), 3)
    assert faults.calls == retried + 1
    assert len(waits) == retried
    assert all(0 <= wait <= 2**number for number, wait in enumerate(waits))
    expected = failures[3][1] if len(failures) > 3 else final[1] if final else ""
    assert error == expected
    note(f"{retried} retries, then {error or 'an answer'}")


def _table_at(url: str) -> Any:
    """The one that services use, at another address."""
    before = os.environ.get("AWS_ENDPOINT_URL_DYNAMODB")
    os.environ |= {"AWS_ENDPOINT_URL_DYNAMODB": url, "TABLE_NAME": "t"}
    parts.table.cache_clear()
    try:
        return parts.table()
    finally:
        parts.table.cache_clear()
        os.environ.pop("AWS_ENDPOINT_URL_DYNAMODB")
        if before:
            os.environ["AWS_ENDPOINT_URL_DYNAMODB"] = before


WRONG: dict[str, tuple[str, dict[str, Any]]] = {
    "a name that is empty": ("name", {"name": ""}),
    "a name that is a number": ("name", {"name": 1}),
    "no name": ("name", {"name": None}),
    "no such provider": ("configuration.llmProvider", {"llmProvider": "nobody"}),
    "too hot": ("configuration.temperature", {"temperature": 3}),
    "no tokens": ("configuration.maxTokens", {"maxTokens": 0}),
    "no model": ("configuration.model", {"model": ""}),
    "a field that nobody knows": ("userId", {"userId": "bob"}),
}


@given(
    wrong=st.sampled_from(sorted(WRONG)),
    operation=st.sampled_from(["create", "update", "read", "delete"]),
    agent_id=ids,
)
def test_property_76_descriptive_error_messages(
    agents: Service, wrong: str, operation: str, agent_id: str
) -> None:
    """Feature: realtime-agentic-api, Property 76: Descriptive error messages"""
    field, changes = WRONG[wrong]
    body: dict[str, Any] = {"name": "x", "configuration": dict(CONFIGURATION)}
    for name, value in changes.items():
        (body["configuration"] if field.startswith("configuration") else body)[name] = value
    path = f"/agents/{agent_id}"
    if operation == "create":
        answer = agents.request("POST", "/agents", body)
        expected, named = (400, "Invalid"), field
    else:
        method = {"update": "PUT", "read": "GET", "delete": "DELETE"}[operation]
        good = {"name": "renamed"} if operation == "update" else None
        answer = agents.request(method, path, good)
        expected, named = (404, "AgentNotFound"), agent_id
    error = answer.body["error"]
    assert (answer.status, error["code"]) == expected
    assert {"code", "message", "requestId", "timestamp"} <= error.keys()
    assert error["requestId"]
    assert named in json.dumps(error)
    assert not {"Traceback", "boto", "dynamo", "arn:"} & set(json.dumps(error).split())
    if operation == "create":
        (told,) = error["details"]["fields"]
        assert told["field"] == field
        assert told["message"]
