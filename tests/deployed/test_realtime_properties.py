"""The properties of live updates, on the deployed bus, queue, functions and sockets."""

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from socket import SHUT_RDWR
from threading import Thread
from typing import Any

import pytest
from common.events.agents import AgentCreatedV1, AgentStatusChangedV1
from common.events.base import Event
from hypothesis import given
from hypothesis import strategies as st
from websockets.sync.client import ClientConnection, connect

from examples.watch import watch
from tests.platform import Platform, Socket, eventually

pytestmark = pytest.mark.deployed

SOCKETS, AGENTS = 4, 3
agents = st.integers(0, AGENTS - 1)


def publish(platform: Platform, *events: Event) -> None:
    """As their owners do: what committed is published by their relays."""
    entries = [
        {
            "EventBusName": "agentic-local-bus",
            "Source": event.source,
            "DetailType": event.detail_type(),
            "Detail": event.model_dump_json(by_alias=True),
        }
        for event in events
    ]
    assert platform.aws("events").put_events(Entries=entries)["FailedEntryCount"] == 0


class Agent:
    """Known to the status service by its events alone."""

    def __init__(self, platform: Platform, owner: str) -> None:
        self.id = f"agent-{uuid.uuid4()}"
        self._platform = platform
        self._owner = owner
        about = {"user_id": owner, "aggregate_id": self.id, "aggregate_version": 1}
        publish(platform, AgentCreatedV1(agent_id=self.id, name="a", configuration={}, **about))

    def status_update(self, version: int) -> Event:
        return AgentStatusChangedV1(
            agent_id=self.id,
            old_status="idle",
            new_status="processing",
            user_id=self._owner,
            aggregate_id=self.id,
            aggregate_version=version,
        )


class Client:
    """A socket, what it watches, and the updates that it has heard."""

    def __init__(self, socket: Socket) -> None:
        self.socket = socket
        self.watched: set[str] = set()
        self.heard: dict[str, str] = {}

    def watch(self, wanted: set[str]) -> None:
        for agent_id in wanted - self.watched:
            self.socket.subscribe(agent_id)
        for agent_id in self.watched - wanted:
            self.socket.send(action="unsubscribe", agentId=agent_id)
            self.socket.receive("unsubscribed")
        self.watched = wanted

    def hear(self, expected: set[str]) -> None:
        """Until all of the expected were heard, and everything that was sent before the pong."""
        self.socket.send(action="ping")
        waiting = True
        while waiting or not expected <= self.heard.keys():
            frame = self.socket.receive("update", "pong", seconds=60)
            if frame["type"] == "pong":
                waiting = False
            else:
                self.heard[frame["eventId"]] = frame["agentId"]


@pytest.fixture(scope="module")
def clients(platform: Platform) -> Iterator[list[Client]]:
    with ExitStack() as stack:
        yield [Client(stack.enter_context(platform.socket())) for _ in range(SOCKETS)]


@pytest.fixture(scope="module")
def known_agents(platform: Platform) -> list[Agent]:
    owner = platform.facts["users"][0]["userId"]
    return [Agent(platform, owner) for _ in range(AGENTS)]


@given(
    watched=st.lists(st.sets(agents), min_size=SOCKETS, max_size=SOCKETS),
    updated=st.lists(agents, min_size=1, max_size=4),
)
def test_property_35_client_notification(
    platform: Platform,
    clients: list[Client],
    known_agents: list[Agent],
    watched: list[set[int]],
    updated: list[int],
) -> None:
    """Feature: realtime-agentic-api, Property 35: Client notification"""
    for client, numbers in zip(clients, watched, strict=True):
        client.heard.clear()
        client.watch({known_agents[number].id for number in numbers})
    events = [known_agents[number].status_update(version) for version, number in enumerate(updated)]
    publish(platform, *events)
    for client in clients:
        expected = {event.event_id for event in events if event.aggregate_id in client.watched}
        client.hear(expected)
        mine = {event.event_id for event in events} & client.heard.keys()
        assert mine == expected, "and nobody hears what they do not watch"
    assert events


class Cutting:
    """Connections that end without a word after some of their frames."""

    def __init__(self, platform: Platform, lives: list[int]) -> None:
        self._url = platform.facts["statusWebSocketUrl"]
        self._key = platform.facts["users"][0]["apiKey"]
        self._lives = iter(lives)
        self.cut = 0

    def __call__(self) -> ClientConnection:
        headers = {"Authorization": f"ApiKey {self._key}"}
        connection = connect(self._url, additional_headers=headers)
        life = next(self._lives, None)
        if life is not None:
            self._cut_after(connection, life)
        return connection

    def _cut_after(self, connection: ClientConnection, frames: int) -> None:
        receive = connection.recv
        left = frames

        def recv(*args: Any, **options: Any) -> Any:
            nonlocal left
            frame = receive(*args, **options)
            left -= 1
            if left == -1:
                self.cut += 1
                connection.socket.shutdown(SHUT_RDWR)
            return frame

        connection.recv = recv  # type: ignore[method-assign]


@pytest.mark.parametrize("lives", [[0, 1, 2, 3, 5], [7, 1, 1, 0, 4], [2, 2, 2, 2, 2]])
def test_a_stream_cut_at_random_is_the_log(platform: Platform, lives: list[int]) -> None:
    count = 30
    agent = Agent(platform, platform.facts["users"][0]["userId"])
    with platform.api() as api:
        path = f"/agents/{agent.id}/updates"
        assert eventually(lambda: api.get(path).status_code == 200)

        def write() -> None:
            for version in range(2, count + 1):
                publish(platform, agent.status_update(version))
                time.sleep(0.05)

        writer = Thread(target=write)
        writer.start()
        cutting = Cutting(platform, lives)
        stream = list(islice(watch(cutting, agent.id), count))
        writer.join()
        log = api.get(path, params={"limit": 100}).json()["items"]
    assert [frame["seq"] for frame in stream] == list(range(1, count + 1))
    assert [{k: v for k, v in frame.items() if k != "type"} for frame in stream] == log
    assert cutting.cut == len(lives)
    assert len({json.dumps(frame["eventId"]) for frame in stream}) == count


def test_a_long_step_is_heard_of_while_it_lasts(platform: Platform) -> None:
    model, answer = f"slow-{uuid.uuid4()}", "The answer is forty-two."
    step = {"type": "response", "description": "answer"}
    platform.script(model, {"plan": {"steps": [step]}}, {"text": answer})
    latency = {"model": model, "latencyMs": 10_000}
    platform.simulator.put("/_control/latency", json=latency).raise_for_status()
    frames: list[dict[str, Any]] = []
    with platform.api() as api, platform.socket() as socket:
        agent = api.agent(model=model)
        socket.subscribe(agent["id"])
        api.task(agent["id"], "Think hard")
        while not frames or frames[-1].get("event") != "TaskCompleted":
            frames.append(socket.receive("update", "text"))
    told = sorted(
        (frame["timestamp"], frame["data"]["progress"])
        for frame in frames
        if frame.get("event") == "TaskProgress"
    )
    progress = [share for _, share in told]
    assert progress == sorted(set(progress)), "always more than before"
    assert len([share for share in progress if 0 < share < 1]) >= 2
    parts = [frame for frame in frames if frame["type"] == "text"]
    assert parts
    for part in parts:
        assert answer[part["offset"] :].startswith(part["text"])
