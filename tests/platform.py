"""The deployed platform as a client, an operator and a curious engineer see it."""

import json
import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, TypeVar

import boto3
import httpx
from websockets.sync.client import ClientConnection, connect

ROOT = Path(__file__).parents[1]
T = TypeVar("T")
Account = dict[str, str]

CALCULATOR = {
    "name": "calculator",
    "description": "Calculates an arithmetic expression exactly",
    "parameters": {
        "type": "object",
        "properties": {"expression": {"type": "string"}},
        "required": ["expression"],
        "additionalProperties": False,
    },
    "handler": "agentic-tool-calculator",
}
CALCULATE = {
    "type": "tool_call",
    "description": "calculate",
    "tool": "calculator",
    "parameters": {"expression": "12 * (7 + 3)"},
}
"""A planned step that uses it."""
TERMINAL = ("completed", "failed", "cancelled")


def eventually(probe: Callable[[], T], seconds: float = 120, every: float = 0.02) -> T:
    """The first truthy value of the probe; the last one after the time is up. It looks less often
    the longer it has waited: a user has a thousand requests a minute."""
    started = time.monotonic()
    while True:
        value = probe()
        waited = time.monotonic() - started
        if value or waited > seconds:
            return value
        time.sleep(max(every, min(waited / 20, 1)))


class Api(httpx.Client):
    """One user's view of the REST API."""

    def created(self, path: str, body: object, **options: Any) -> dict[str, Any]:
        answer = self.post(path, json=body, **options)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def agent(self, *tools: object, model: str = "simulated", **fields: Any) -> dict[str, Any]:
        configuration = {"llmProvider": "openai", "model": model, "tools": list(tools), **fields}
        return self.created_agent({"name": "test", "configuration": configuration})

    def created_agent(self, body: object, **options: Any) -> dict[str, Any]:
        """The agent, when the tasks service has heard of it too."""
        agent = self.created("/agents", body, **options)
        known = eventually(lambda: self.get(f"/agents/{agent['id']}/tasks").status_code == 200)
        assert known, "the tasks service never heard of the agent"
        return agent

    def task(self, agent_id: str, description: str, **options: Any) -> dict[str, Any]:
        return self.created(f"/agents/{agent_id}/tasks", {"description": description}, **options)

    def read_task(self, task: dict[str, Any]) -> dict[str, Any]:
        answer = self.get(f"/agents/{task['agentId']}/tasks/{task['id']}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def finished(self, task: dict[str, Any], seconds: float = 120) -> dict[str, Any]:
        def ended() -> dict[str, Any] | None:
            now = self.read_task(task)
            return now if now["status"] in TERMINAL else None

        time.sleep(0.3)  # no task ends sooner, and every look costs the platform a request
        found = eventually(ended, seconds, every=0.15)
        assert found, f"task {task['id']} did not end: {self.read_task(task)}"
        return found

    def collaborated(self, collaboration: dict[str, Any], seconds: float = 120) -> dict[str, Any]:
        """The collaboration when it has ended."""

        def ended() -> dict[str, Any] | None:
            answer = self.get(f"/collaborations/{collaboration['id']}")
            assert answer.status_code == 200, answer.text
            return dict(answer.json()) if answer.json()["status"] in TERMINAL else None

        time.sleep(0.5)  # none ends sooner, and every look costs the platform a request
        found = eventually(ended, seconds, every=0.25)
        assert found, f"collaboration {collaboration['id']} did not end"
        return found


@dataclass(frozen=True)
class Platform:
    """What `.local/platform.json` says, and ways in."""

    facts: dict[str, Any]

    @classmethod
    def from_file(cls) -> "Platform":
        port = os.environ.get("PORT", "4500")
        folder = ROOT / ".local" / ("" if port == "4500" else f"port-{port}")
        file = folder / "platform.json"
        assert file.exists(), "no platform is running: start one with `make up`"
        return cls(json.loads(file.read_text()))

    def api(self, user: int | Account = 0) -> Api:
        return self.client(self._credentials(user)["Authorization"])

    def client(self, authorization: str, address: str | None = None) -> Api:
        """With any credential, and from any address of the loopback."""
        return Api(
            base_url=self.facts["baseUrl"],
            headers={"Authorization": authorization},
            transport=httpx.HTTPTransport(local_address=address) if address else None,
            timeout=60,
        )

    def new_user(self, name: str = "test", **quotas: int) -> Account:
        """Of the operator's making; what is not named of the quotas is as for anybody."""
        with self.api(self.facts["operator"]) as operator:
            user = operator.created("/auth/users", {"name": name, "quotas": quotas})
            key = operator.created("/auth/api-keys", {"name": "test", "userId": user["id"]})
        return {"userId": user["id"], "apiKey": key["apiKey"]}

    def aws(self, service: Any) -> Any:
        return _aws(self.facts["awsEndpointUrl"], service)

    def function(self, name: str) -> dict[str, Any]:
        """The configuration of the deployed function that is called so, or so and a hash."""
        functions = self.aws("lambda").get_paginator("list_functions").paginate()
        found = (function for page in functions for function in page["Functions"])
        return next(f for f in found if f["FunctionName"].startswith(f"agentic-local-{name}"))

    @contextmanager
    def socket(self, user: int | Account = 0) -> Iterator["Socket"]:
        headers = self._credentials(user)
        with connect(self.facts["statusWebSocketUrl"], additional_headers=headers) as connection:
            yield Socket(connection)

    def _credentials(self, user: int | Account) -> dict[str, str]:
        """Of one of the platform's users, by their number, or of a new one."""
        account = self.facts["users"][user] if isinstance(user, int) else user
        return {"Authorization": f"ApiKey {account['apiKey']}"}

    @contextmanager
    def fault(
        self, about: str, kind: str, times: int, **where: object
    ) -> Iterator[Callable[[], Any]]:
        """Between the functions and AWS, at calls about a text; gives what came of it so far."""
        url = f"{self.facts['baseUrl']}/_local/faults/{uuid.uuid4()}"
        rule = {"about": about, "kind": kind, "times": times, **where}
        httpx.put(url, json=rule).raise_for_status()
        try:
            yield lambda: httpx.get(url).raise_for_status().json()
        finally:
            httpx.delete(url)

    @contextmanager
    def recorder(self, pattern: dict[str, object]) -> Iterator["Recorder"]:
        """Everything on the bus that matches, seen through a rule and a queue of the test's own."""
        events, sqs, name = self.aws("events"), self.aws("sqs"), f"recorder-{uuid.uuid4()}"
        url = sqs.create_queue(QueueName=name)["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
        bus = {"EventBusName": "agentic-local-bus"}
        events.put_rule(Name=name, EventPattern=json.dumps(pattern), **bus)
        events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn["QueueArn"]}], **bus)
        try:
            yield Recorder(sqs, url)
        finally:
            events.remove_targets(Rule=name, Ids=["queue"], **bus)
            events.delete_rule(Name=name, **bus)
            sqs.delete_queue(QueueUrl=url)

    @cached_property
    def state_machine_arn(self) -> str:
        machines = self.aws("stepfunctions").list_state_machines()["stateMachines"]
        arns = [str(machine["stateMachineArn"]) for machine in machines]
        return next(arn for arn in arns if arn.endswith("TaskExecution"))

    def execution_arn(self, name: str, machine: str = "TaskExecution") -> str:
        arn = self.state_machine_arn.replace(":stateMachine:", ":execution:")
        return f"{arn.removesuffix('TaskExecution')}{machine}:{name}"

    def execution(self, name: str, machine: str = "TaskExecution") -> dict[str, Any]:
        """It ends a moment after what it is about: that is waited for."""
        arn = self.execution_arn(name, machine)

        def ended() -> dict[str, Any] | None:
            found = self.aws("stepfunctions").describe_execution(executionArn=arn)
            return None if found["status"] == "RUNNING" else dict(found)

        found = eventually(ended)
        assert found, f"execution {name} of {machine} did not end"
        return found

    @cached_property
    def simulator(self) -> httpx.Client:
        return httpx.Client(base_url=self.facts["simulatorUrl"], timeout=30)

    def calculating_agent(self, api: Api) -> dict[str, Any]:
        """Plans a call of the calculator and an answer; two model calls in all."""
        model = f"calculating-{uuid.uuid4()}"
        steps = [CALCULATE, {"type": "response", "description": "answer"}]
        self.script(model, {"plan": {"steps": steps}}, {"text": "It is 120."})
        return api.agent(CALCULATOR, model=model) | {"model": model}

    def script(self, model: str, *replies: dict[str, Any], repeat_last: bool = False) -> None:
        body = {"replies": list(replies), "repeatLast": repeat_last}
        self.simulator.put(f"/_control/scripts/{model}", json=body).raise_for_status()

    def model_requests(self, model: str) -> list[dict[str, Any]]:
        answer = self.simulator.get("/_control/requests", params={"model": model})
        return list(answer.raise_for_status().json()["requests"])


@cache
def _aws(url: str, service: Any) -> Any:
    """Making a client costs more than most calls that it makes."""
    return boto3.client(
        service,
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


class Socket:
    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    def send(self, **message: object) -> None:
        self.connection.send(json.dumps(message))

    def receive(self, *kinds: str, seconds: float = 120) -> dict[str, Any]:
        """The next frame of one of these types; those before it are passed over."""
        deadline = time.monotonic() + seconds
        while True:
            frame = json.loads(self.connection.recv(timeout=max(0.01, deadline - time.monotonic())))
            if frame["type"] in kinds:
                return dict(frame)

    def subscribe(self, agent_id: str, **fields: object) -> dict[str, Any]:
        """Asks again while the status service has not heard of the agent, as under load it may."""
        while True:
            self.send(action="subscribe", agentId=agent_id, **fields)
            answer = self.receive("subscribed", "error")
            if answer["type"] == "subscribed":
                return answer
            assert answer["error"]["code"] == "AgentNotFound", answer


def receipts(messages: list[dict[str, Any]]) -> list[dict[str, str]]:
    return [
        {"Id": message["MessageId"], "ReceiptHandle": message["ReceiptHandle"]}
        for message in messages
    ]


class Recorder:
    """Bus events in the order in which they arrived at the test's queue."""

    def __init__(self, sqs: Any, url: str) -> None:
        self._sqs = sqs
        self._url = url
        self.events: list[dict[str, Any]] = []

    def seen(self, wanted: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
        self._receive()
        return [event for event in self.events if wanted(event)]

    def wait_for(
        self, wanted: Callable[[dict[str, Any]], bool], count: int = 1, seconds: float = 120
    ) -> list[dict[str, Any]]:
        eventually(lambda: len(self.seen(wanted)) >= count, seconds, every=0.1)
        return self.seen(wanted)

    def _receive(self) -> None:
        while True:
            answer = self._sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10)
            messages = answer.get("Messages", [])
            for message in messages:
                self.events.append(json.loads(message["Body"]))
                self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
            if not messages:
                return
            self._sqs.delete_message_batch(QueueUrl=self._url, Entries=receipts(messages))
