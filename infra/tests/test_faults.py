"""The faults that tests ask for, as AWS's own client meets them."""

import asyncio
import json
import socket
import threading
import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError
from common.clock import timestamp

from infra.local.calls import server_of_calls
from infra.local.faults import Faults, read
from infra.local.processes import _accepts


class Cloud(NamedTuple):
    """Something that answers everything, behind the faults; `heard` is what reached it."""

    url: str
    faults: Faults
    heard: list[bytes]

    def client(self, service: Any, attempts: int) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"total_max_attempts": attempts}),
        )

    def ask(self, name: str = "test", **rule: object) -> None:
        body = json.dumps({"about": "ada", "times": 1} | rule).encode()
        assert self.faults.control("PUT", name, body)[0] == 200

    def report(self, name: str = "test") -> dict[str, Any]:
        return dict(self.faults.control("GET", name, b"")[1])


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    heard: list[bytes] = []

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            heard.append(await read(receive))
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"{}"})

    faults = Faults(answer)
    server = server_of_calls(faults, port)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    while not _accepts(port):
        pass
    yield Cloud(f"http://127.0.0.1:{port}", faults, heard)
    server.should_exit = True
    thread.join()


@pytest.mark.parametrize(
    ("kind", "executed", "retried"),
    [
        ("dropBefore", 1, 1),
        ("dropAfter", 2, 1),
        ("delay", 1, 0),
        ("duplicate", 2, 0),
        ("throttle", 1, 1),
    ],
)
def test_a_fault_happens_once_and_is_counted(
    cloud: Cloud, kind: str, executed: int, retried: int
) -> None:
    cloud.ask(kind=kind, operation="PutItem", table="things", seconds=0.1)
    table = cloud.client("dynamodb", attempts=2)
    table.put_item(TableName="others", Item={"PK": {"S": "ada"}})
    answer = table.put_item(TableName="things", Item={"PK": {"S": "ada"}})
    assert answer["ResponseMetadata"]["RetryAttempts"] == retried
    assert len(cloud.heard) == 1 + executed
    found = cloud.report()
    assert (found["done"], found["calls"]["PutItem others"]) == (1, 1)


def test_who_does_not_try_again_learns_of_it(cloud: Cloud) -> None:
    bus = cloud.client("events", attempts=1)
    for kind, error in (("dropBefore", ConnectionClosedError), ("throttle", ClientError)):
        cloud.ask(kind=kind, operation="PutEvents")
        with pytest.raises(error):
            bus.put_events(Entries=[{"Detail": "of ada's"}])
    assert cloud.heard == []


def test_a_fault_of_one_call_happens_to_all_who_asked_for_this_kind(cloud: Cloud) -> None:
    kinds = {"ada": "dropAfter", "bob": "dropAfter", "eve": "throttle"}
    for name, kind in kinds.items():
        cloud.ask(name, about=name, kind=kind, operation="PutEvents")
    bus = cloud.client("events", attempts=1)
    entries = [{"Detail": f"of {name}"} for name in kinds]
    for error, done in ((ConnectionClosedError, [1, 1, 0]), (ClientError, [1, 1, 1])):
        with pytest.raises(error):
            bus.put_events(Entries=entries)
        assert [cloud.report(name)["done"] for name in kinds] == done
    assert len(cloud.heard) == 1


def test_what_is_written_with_the_text_belongs_to_it(cloud: Cloud) -> None:
    cloud.ask(operation="StartExecution", times=0)
    table, machine = (cloud.client(name, attempts=1) for name in ("dynamodb", "stepfunctions"))
    mine, other, now = str(uuid.uuid4()), str(uuid.uuid4()), timestamp()
    item = {"PK": {"S": f"TASK#{mine}"}, "GSI1SK": {"S": f"TASK#{now}"}, "owner": {"S": "ada"}}
    table.transact_write_items(TransactItems=[{"Put": {"TableName": "things", "Item": item}}])
    table.get_item(TableName="things", Key={"PK": {"S": f"JOURNAL#{mine}"}})
    table.get_item(TableName="things", Key={"PK": {"S": f"JOURNAL#{other}{now}"}})
    arn = "arn:aws:states:us-east-1:123456789012:stateMachine:x"
    machine.start_execution(stateMachineArn=arn, name=f"{mine}-1")
    calls = cloud.report()["calls"]
    assert calls == {"TransactWriteItems things": 1, "GetItem things": 1, "StartExecution": 1}


def test_what_is_written_with_several_agents_need_not_belong_to_one(cloud: Cloud) -> None:
    mine, another, task = (str(uuid.uuid4()) for _ in range(3))
    cloud.ask(about=mine, operation="StartExecution", times=0)
    table = cloud.client("dynamodb", attempts=1)
    items = [{"PK": {"S": each}} for each in (f"AGENT#{mine}", f"AGENT#{another}", f"TASK#{task}")]
    puts = [{"Put": {"TableName": "things", "Item": item}} for item in items]
    table.transact_write_items(TransactItems=puts)
    table.get_item(TableName="things", Key={"PK": {"S": f"JOURNAL#{task}"}})
    assert cloud.report()["calls"] == {"TransactWriteItems things": 1}


def test_what_is_in_a_batch_with_the_text_need_not_belong_to_it(cloud: Cloud) -> None:
    cloud.ask(operation="StartExecution", times=0)
    table, other = cloud.client("dynamodb", attempts=1), str(uuid.uuid4())
    keys = [{"PK": {"S": "AGENT#ada"}}, {"PK": {"S": f"TASK#{other}"}}]
    table.batch_get_item(RequestItems={"things": {"Keys": keys}})
    table.get_item(TableName="things", Key={"PK": {"S": f"JOURNAL#{other}"}})
    assert cloud.report()["calls"] == {"BatchGetItem things": 1}
