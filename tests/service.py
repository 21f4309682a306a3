"""A service in process: its own app.py, called with API Gateway's and SQS's events, over moto."""

import importlib.util
import json
import os
import re
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import boto3
import common.secrets
from common import service as parts
from common.events.base import Event
from common.principals import Permission, Principal
from common.quotas import DEFAULT_QUOTAS, Quotas
from moto import mock_aws

from tests import frugal_moto

ROOT = Path(__file__).parents[1]
EVERYTHING = (Permission("*", ("*",)),)


@contextmanager
def before_calls(listen: Callable[[str], None]) -> Iterator[None]:
    """Meanwhile, tells the names of the calls of the service's table, each before it is made."""

    def tell(model: Any, **_: object) -> None:
        listen(model.name)

    bus = parts.table()._client.meta.events
    bus.register("before-call.dynamodb", tell)
    try:
        yield
    finally:
        bus.unregister("before-call.dynamodb", tell)


def user(
    user_id: str = "ada",
    permissions: tuple[Permission, ...] = EVERYTHING,
    quotas: Quotas = DEFAULT_QUOTAS,
    credential_id: str = "test",
) -> Principal:
    return Principal(user_id, credential_id, permissions, quotas=quotas)


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    text: str

    @property
    def body(self) -> Any:
        return json.loads(self.text)


class Service:
    def __init__(self, name: str, module: ModuleType) -> None:
        self.name = name
        self.module = module
        self.table = boto3.resource("dynamodb").Table(os.environ["TABLE_NAME"])
        self.seconds_left = 300
        """What a function that is called finds in its context."""

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        by: Principal | None = None,
        headers: Mapping[str, str] | None = None,
        raw: str | None = None,
        address: str = "127.0.0.1",
    ) -> Answer:
        """`raw` is a body that is sent as it is; `by` defaults to a user who may do everything."""
        path, _, query = path.partition("?")
        resource, parameters = self._route(path)
        pairs = [pair.partition("=") for pair in query.split("&") if pair]
        event = {
            "resource": resource,
            "path": path,
            "httpMethod": method,
            "headers": {"content-type": "application/json", **(headers or {})},
            "multiValueHeaders": {},
            "multiValueQueryStringParameters": {k: [v] for k, _, v in pairs} or None,
            "pathParameters": parameters,
            "stageVariables": None,
            "body": raw if raw is not None else None if body is None else json.dumps(body),
            "isBase64Encoded": False,
            "requestContext": {
                "httpMethod": method,
                "resourcePath": resource,
                "requestId": str(uuid.uuid4()),
                "authorizer": (by or user()).as_authorizer_context(),
                "identity": {"sourceIp": address},
            },
        }
        answer = self.module.app(event, SimpleNamespace())
        headers_out = {k: str(v) for k, v in answer["headers"].items()}
        return Answer(answer["statusCode"], headers_out, answer["body"])

    def consume(self, *events: Event) -> list[str]:
        """Delivers the events in one batch, as the queue does; the ids of those that failed."""
        return self.deliver(*(json.dumps(bus_envelope(event)) for event in events))

    def deliver(self, *bodies: str, attempt: int = 1) -> list[str]:
        """Any texts in one batch of the queue, for the so many-th time."""
        records = [
            {
                "messageId": str(index),
                "body": body,
                "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:inbox",
                "attributes": {"ApproximateReceiveCount": str(attempt)},
            }
            for index, body in enumerate(bodies)
        ]
        answer = self.module.consume({"Records": records}, SimpleNamespace())
        return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]

    def buried(self) -> list[dict[str, Any]]:
        """What the service put into its dead letters since this was last asked."""
        return drained(os.environ["DEAD_LETTERS_URL"])

    def call(self, function: str, event: object) -> Any:
        """Invokes one of the service's Lambda functions."""
        context = SimpleNamespace(get_remaining_time_in_millis=lambda: self.seconds_left * 1000)
        return getattr(self.module, function)(event, context)

    def outbox(self) -> list[dict[str, Any]]:
        """The events committed and not yet relayed, in no particular order."""
        rows = [row for row in self.rows() if str(row["PK"]).startswith("OUTBOX#")]
        return [
            {"source": row["source"], "detail-type": row["detailType"]}
            | {"detail": json.loads(str(row["detail"]))}
            for row in rows
        ]

    def rows(self) -> list[dict[str, Any]]:
        pages = self.table.meta.client.get_paginator("scan").paginate(TableName=self.table.name)
        return [row for page in pages for row in page["Items"]]

    def _route(self, path: str) -> tuple[str, dict[str, str]]:
        best: tuple[str, dict[str, str]] = (path, {})
        for route in self.module.app.routes:
            pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", route)
            match = re.fullmatch(pattern, path)
            if match:
                best = (route, match.groupdict())
        return best


def drained(queue_url: str) -> list[dict[str, Any]]:
    """All messages of a queue, which are gone then, as a Lambda function would get them."""
    sqs, records = boto3.client("sqs"), []
    everything: Any = {"AttributeNames": ["All"], "MessageAttributeNames": ["All"]}
    while messages := sqs.receive_message(
        QueueUrl=queue_url, MaxNumberOfMessages=10, **everything
    ).get("Messages"):
        for message in messages:
            sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
            attributes = message.get("MessageAttributes", {})
            told = {name: {"stringValue": a["StringValue"]} for name, a in attributes.items()}
            records.append(
                {
                    "messageId": message["MessageId"],
                    "body": message["Body"],
                    "attributes": message["Attributes"],
                    "messageAttributes": told,
                }
            )
    return records


def bus_envelope(event: Event) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid4()),
        "source": event.source,
        "detail-type": event.detail_type(),
        "detail": event.wire(),
    }


@contextmanager
def running(name: str, **more_settings: str) -> Iterator[Service]:
    """One service at a time: they share `common.service`, whose parts are made per container.

    There is no Redis unless its URL is one of the settings: nothing may need it.
    """
    settings = {
        "TABLE_NAME": f"{name}-table",
        "EVENT_BUS": "bus",
        "CURSOR_SECRET": "cursor-key",
        "STATE_MACHINE_ARN": "arn:aws:states:us-east-1:123456789012:stateMachine:TaskExecution",
        "MULTI_AGENT_ARN": "arn:aws:states:us-east-1:123456789012:stateMachine:MultiAgent",
        "OPENAI_SECRET": "openai-key",
        "ANTHROPIC_SECRET": "anthropic-key",
        "REFRESH_SECRET": "refresh-key",
        "ISSUER": "agentic-test",
        "JWKS_URL": "http://127.0.0.1:9/nobody-listens",
        "REDIS_URL": "redis://127.0.0.1:9",
        "WEBSOCKET_ENDPOINT": "https://sockets.invalid",
        "AUTHORIZER": "authorize",
        "SOCKET_URL": "wss://sockets.invalid/live",
        "MUTATION_PATIENCE_SECONDS": "0",
    }
    before = dict(os.environ)
    os.environ.update(settings | more_settings)
    frugal_moto.install()
    with mock_aws():
        _forget_parts()
        _create_table(settings["TABLE_NAME"])
        for queue in ("observations", "dead-letters", "inbox", "conversations"):
            url = boto3.client("sqs").create_queue(QueueName=queue)["QueueUrl"]
            os.environ[f"{queue.upper().replace('-', '_')}_URL"] = url
        for secret in ("cursor-key", "openai-key", "anthropic-key", "refresh-key"):
            boto3.client("secretsmanager").create_secret(Name=secret, SecretString="k" * 32)
        try:
            yield Service(name, load(name))
        finally:
            _forget_parts()
            os.environ.clear()
            os.environ.update(before)


def load(name: str) -> ModuleType:
    """A service's app.py, beside those of the others: each is a module called `app`."""
    spec = importlib.util.spec_from_file_location(
        f"{name}_app", ROOT / "services" / name / "app.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _forget_parts() -> None:
    made = [part for part in vars(parts).values() if hasattr(part, "cache_clear")]
    for part in (*made, common.secrets._client):
        part.cache_clear()
    common.secrets._kept.clear()


def _create_table(name: str) -> None:
    keys = ("PK", "SK", "GSI1PK", "GSI1SK")
    boto3.client("dynamodb").create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
        KeySchema=_schema("PK", "SK"),
        GlobalSecondaryIndexes=[
            {
                "IndexName": "GSI1",
                "KeySchema": _schema("GSI1PK", "GSI1SK"),
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )


def _schema(hash_key: str, range_key: str) -> Any:
    return [
        {"AttributeName": hash_key, "KeyType": "HASH"},
        {"AttributeName": range_key, "KeyType": "RANGE"},
    ]
