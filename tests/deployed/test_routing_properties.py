"""The properties of events on the deployed bus."""

import json
import uuid
from collections.abc import Iterator
from itertools import pairwise
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import pytest
from common.events.agents import AgentStatusChangedV1
from common.events.base import Event
from common.events.catalogue import CATALOGUE
from common.events.tasks import TaskCompletedV1, TaskFailedV1
from hypothesis import given
from hypothesis import strategies as st

from tests.platform import Api, Platform, Recorder, eventually

pytestmark = pytest.mark.deployed

BUS = "agentic-local-bus"
statuses = st.sampled_from(["idle", "processing", "waiting", "error"])


@pytest.fixture(scope="module")
def api(platform: Platform) -> Iterator[Api]:
    with platform.api() as api:
        yield api


def publish(platform: Platform, *events: Event) -> None:
    entries = [
        {
            "EventBusName": BUS,
            "Source": event.source,
            "DetailType": event.detail_type(),
            "Detail": event.model_dump_json(by_alias=True),
        }
        for event in events
    ]
    assert platform.aws("events").put_events(Entries=entries)["FailedEntryCount"] == 0


class DeployedRules:
    """Listens in on the rules as they were deployed: one more target on each of them."""

    def __init__(self, platform: Platform, queue_url: str, queue_arn: str) -> None:
        self._events = platform.aws("events")
        self._sqs, self._url, self._arn = platform.aws("sqs"), queue_url, queue_arn
        self.seen: set[tuple[str, str]] = set()
        self.rules = {
            rule["Name"]: json.loads(rule["EventPattern"])
            for rule in self._events.list_rules(EventBusName=BUS)["Rules"]
            if rule["Name"].startswith("agentic-local-")
        }

    def listen(self) -> None:
        for name in self.rules:
            transformer = {
                "InputPathsMap": {"id": "$.detail.eventId"},
                "InputTemplate": json.dumps({"rule": name, "eventId": "<id>"}),
            }
            target = {"Id": "listener", "Arn": self._arn, "InputTransformer": transformer}
            self._events.put_targets(Rule=name, EventBusName=BUS, Targets=[target])

    def stop(self) -> None:
        for name in self.rules:
            self._events.remove_targets(Rule=name, EventBusName=BUS, Ids=["listener"])

    def expected(self, event: Event, matching: bool) -> set[tuple[str, str]]:
        return {
            (name, event.event_id)
            for name, pattern in self.rules.items()
            if matching and pattern == event.pattern()
        }

    def receive(self) -> set[tuple[str, str]]:
        while messages := self._sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            for message in messages:
                body = json.loads(message["Body"])
                self.seen.add((body["rule"], body["eventId"]))
                self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
        return self.seen


@pytest.fixture(scope="module")
def rules(platform: Platform) -> Iterator[DeployedRules]:
    sqs = platform.aws("sqs")
    url = sqs.create_queue(QueueName=f"listener-{uuid.uuid4()}")["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    rules = DeployedRules(platform, url, attributes["QueueArn"])
    rules.listen()
    yield rules
    rules.stop()
    sqs.delete_queue(QueueUrl=url)


@pytest.fixture(scope="module")
def finished_task(api: Api) -> dict[str, Any]:
    """Announcing its creation once more starts nothing: its execution is over."""
    return api.finished(api.task(api.agent()["id"], "Who are you?"))


def event_of(kind: type[Event], task: dict[str, Any], **fields: Any) -> Event:
    """An event about nobody's; what it must have and is not given is made up from its type."""
    about = {
        "taskId": task["id"],
        "agentId": str(uuid.uuid4()) if kind.source.endswith("agents") else task["agentId"],
        "userId": "nobody",
        "aggregateId": str(uuid.uuid4()),
        "aggregateVersion": 1,
    }
    required = {
        str(field.alias): made_up(str(field.alias), field.annotation)
        for field in kind.model_fields.values()
        if field.is_required()
    }
    return kind.model_validate(required | about | fields)


def made_up(name: str, kind: Any) -> Any:
    of = get_origin(kind)
    if of is Literal:
        return get_args(kind)[0]
    if of in (Union, UnionType):
        return made_up(name, get_args(kind)[0])
    if name.endswith("At"):
        return "2030-01-01T00:00:00.000Z"
    plain = {str: "x", int: 1, float: 0.0, bool: False, dict: {}, list: [], tuple: ()}
    return plain[of or kind]


@given(
    kinds=st.lists(st.sampled_from([entry.event for entry in CATALOGUE]), min_size=1, max_size=2),
    known_version=st.booleans(),
)
def test_property_38_event_routing_to_matching_rules(
    platform: Platform,
    rules: DeployedRules,
    finished_task: dict[str, Any],
    kinds: list[type[Event]],
    known_version: bool,
) -> None:
    """Feature: realtime-agentic-api, Property 38: Event routing to matching rules"""
    events = [event_of(kind, finished_task) for kind in kinds]
    if not known_version:
        for event in events:
            object.__setattr__(event, "version", 99)
    expected = {pair for event in events for pair in rules.expected(event, known_version)}
    consumers = sum(len(e.consumers) for kind in kinds for e in CATALOGUE if e.event is kind)
    assert len(expected) == (consumers if known_version else 0)

    publish(platform, *events)
    ids = {event.event_id for event in events}
    eventually(lambda: expected <= rules.receive(), every=0.1)
    assert {pair for pair in rules.receive() if pair[1] in ids} == expected


def slow_agent(platform: Platform, api: Api) -> dict[str, Any]:
    """It works for long enough that the event of a task's end does not overtake that of its
    beginning: a status that was over when it was heard of is nobody's."""
    model = f"slow-{uuid.uuid4()}"
    platform.script(model, {"delayMs": 1000})
    return api.agent(model=model)


@given(data=st.data())
def test_property_33_status_change_events(
    platform: Platform, api: Api, recorder: Recorder, data: st.DataObject
) -> None:
    """Feature: realtime-agentic-api, Property 33: Status change events"""
    agent = slow_agent(platform, api)
    states = ["idle"]
    for ended in data.draw(st.lists(st.sampled_from([TaskFailedV1, TaskCompletedV1]), max_size=3)):
        task = {"id": str(uuid.uuid4()), "agentId": agent["id"]}
        publish(platform, event_of(ended, task, aggregateId=task["id"], userId=agent["userId"]))
        new = "error" if ended is TaskFailedV1 else "idle"
        assert eventually(lambda new=new: _status(api, agent) == new, every=0.05)
        states += [new] * (new != states[-1])
    if data.draw(st.integers(0, 9)) == 0:
        api.finished(api.task(agent["id"], "Who are you?"))
        assert eventually(lambda: _status(api, agent) == "idle")
        states += ["processing", "idle"]

    changes = list(pairwise(states))
    seen = recorder.wait_for(lambda event: event["detail"]["agentId"] == agent["id"], len(changes))
    told = sorted(seen, key=lambda event: int(event["detail"]["aggregateVersion"]))
    assert [(e["detail"]["oldStatus"], e["detail"]["newStatus"]) for e in told] == changes


@pytest.fixture(scope="module")
def recorder(platform: Platform) -> Iterator[Recorder]:
    with platform.recorder({"detail-type": ["AgentStatusChanged"]}) as recorder:
        yield recorder


def _status(api: Api, agent: dict[str, Any]) -> str:
    return str(api.get(f"/agents/{agent['id']}").json()["status"])


@pytest.fixture(scope="module")
def watched_agent(api: Api) -> dict[str, Any]:
    agent = api.agent()
    assert eventually(lambda: api.get(f"/agents/{agent['id']}/status").status_code == 200)
    return agent


@given(old=statuses, new=statuses)
def test_property_34_status_event_routing(
    platform: Platform, api: Api, watched_agent: dict[str, Any], old: str, new: str
) -> None:
    """Feature: realtime-agentic-api, Property 34: Status event routing"""
    agent = watched_agent
    latest = api.get(f"/agents/{agent['id']}/status").json().get("seq", 0)
    event = event_of(
        AgentStatusChangedV1,
        {"id": "", "agentId": agent["id"]},
        oldStatus=old,
        newStatus=new,
        agentId=agent["id"],
        userId=agent["userId"],
    )
    publish(platform, event)
    path = f"/agents/{agent['id']}/updates?after={latest}"

    def handled() -> list[dict[str, Any]]:
        answer = api.get(path)
        assert answer.status_code == 200, answer.text
        return [item for item in answer.json()["items"] if item["eventId"] == event.event_id]

    (update,) = eventually(handled, every=0.05)
    assert update["event"] == "AgentStatusChanged"
    assert (update["data"]["oldStatus"], update["data"]["newStatus"]) == (old, new)


@given(user=st.sampled_from([0, 1]), frames=st.integers(1, 3))
def test_property_36_connection_establishment(platform: Platform, user: int, frames: int) -> None:
    """Feature: realtime-agentic-api, Property 36: Connection establishment"""
    with platform.socket(user) as socket:
        for _ in range(frames):
            socket.send(action="ping")
        for _ in range(frames):
            assert socket.receive("pong")["type"] == "pong"
