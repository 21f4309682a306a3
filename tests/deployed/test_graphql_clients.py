"""The GraphQL API with clients that we did not write, on the deployed platform."""

import asyncio
import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from gql import Client, GraphQLRequest, gql
from gql.transport.exceptions import TransportError
from gql.transport.websockets import WebsocketsTransport
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.deployed import plans
from tests.platform import CALCULATOR, Api, Platform, eventually

pytestmark = [pytest.mark.deployed, pytest.mark.e2e]

CLIENTS = Path(__file__).parents[1] / "node"
PROTOCOL = Subprotocol("graphql-transport-ws")


@pytest.fixture(scope="module")
def api(platform: Platform) -> Iterator[Api]:
    with platform.api() as api:
        yield api


@pytest.fixture(scope="module")
def task(api: Api) -> dict[str, Any]:
    """One that has ended, as the read model knows too: whoever subscribes from the beginning hears
    all of it."""
    task = api.finished(api.task(api.agent()["id"], "Who are you?"))
    named = f'agentId: "{task["agentId"]}", taskId: "{task["id"]}"'
    query = {"query": f"{{ task({named}) {{ status }} }}"}

    def is_known() -> bool:
        shown = api.post("/graphql", json=query).json()["data"]["task"]
        return bool(shown and shown["status"] == "COMPLETED")

    assert eventually(is_known)
    return task


def key(platform: Platform, number: int = 0) -> str:
    return str(platform.facts["users"][number]["apiKey"])


def told(script: str, *arguments: str) -> list[Any]:
    """What a client in JavaScript tells, line by line."""
    command = [str(Path(sys.executable).parent / "node"), str(CLIENTS / script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_graphql_ws(platform: Platform, task: dict[str, Any]) -> None:
    url = platform.facts["graphqlWebSocketUrl"]
    lines = told("graphql-ws.mjs", url, key(platform), task["agentId"], task["id"])
    progress = [value for name, value in lines if name == "progress"]
    statuses = [each["status"] for each in progress]
    assert statuses == sorted(statuses, key=["PENDING", "RUNNING", "COMPLETED"].index)
    assert len(progress) > 1
    assert statuses[-1] == "COMPLETED"
    assert progress[-1]["result"] == task["result"]
    cursors = [int(each["cursor"]) for each in progress]
    assert cursors == sorted(set(cursors))
    answers = {name: value for name, value in lines if name != "progress"}
    assert answers["query"] == {"data": {"agent": {"id": task["agentId"]}}}
    assert answers["invalid"][0]["extensions"]["code"] == "Invalid"
    assert [each["code"] for each in answers["stranger"]] == [4403]


def test_urql(platform: Platform, task: dict[str, Any]) -> None:
    urls = f"{platform.facts['baseUrl']}/graphql", platform.facts["graphqlWebSocketUrl"]
    lines = told("urql.mjs", *urls, key(platform), task["agentId"], task["id"])
    expected = {"id": task["agentId"], "name": "test", "__typename": "Agent"}
    assert lines[0] == ["query", {"data": {"agent": expected}}]
    assert lines[-1] == ["progress", "COMPLETED"]


class Transport(WebsocketsTransport):
    """gql 4.0 looks for the chosen protocol under the header's name in mixed case."""

    async def _after_connect(self) -> None:
        await super()._after_connect()
        self.subprotocol = self.GRAPHQLWS_SUBPROTOCOL


QUERY = """subscription($agent: ID!, $task: ID!) {
  taskProgressUpdated(agentId: $agent, taskId: $task, after: "0") { status progress } }"""


def test_gql(platform: Platform, task: dict[str, Any]) -> None:
    asked = GraphQLRequest(QUERY, variable_values={"agent": task["agentId"], "task": task["id"]})

    async def watch(api_key: str) -> list[str]:
        transport = Transport(
            url=platform.facts["graphqlWebSocketUrl"],
            init_payload={"apiKey": api_key},
            subprotocols=[PROTOCOL],
        )
        seen = []
        async with Client(transport=transport, fetch_schema_from_transport=True) as session:
            async for answer in session.subscribe(asked):
                seen.append(answer["taskProgressUpdated"]["status"])
                if seen[-1] == "COMPLETED":
                    break
            assert await session.execute(gql("{ agents(limit: 1) { nextToken } }"))
        return seen

    assert asyncio.run(watch(key(platform)))[-1] == "COMPLETED"
    with pytest.raises((TransportError, ConnectionClosed)):
        asyncio.run(watch("bad"))


def opened(platform: Platform, **options: Any) -> ClientConnection:
    return connect(platform.facts["graphqlWebSocketUrl"], subprotocols=[PROTOCOL], **options)


def subscribing(agent_id: str) -> dict[str, Any]:
    query = "subscription($id: ID!) { agentStatusUpdated(agentId: $id) }"
    payload = {"query": query, "variables": {"id": agent_id}}
    return {"type": "subscribe", "id": "1", "payload": payload}


def receive(socket: ClientConnection) -> dict[str, Any]:
    return dict(json.loads(socket.recv(timeout=60)))


def known_agent(api: Api, *tools: object, model: str = "simulated") -> dict[str, Any]:
    """One that the read model has heard of."""
    agent = api.agent(*tools, model=model)
    query = {"query": f'{{ agent(id: "{agent["id"]}") {{ id }} }}'}
    assert eventually(lambda: api.post("/graphql", json=query).json()["data"]["agent"])
    return agent


def test_what_happens_is_pushed(platform: Platform, api: Api) -> None:
    """Live, by a connection whose credential came with the handshake. Events overtake each other,
    and a status that is over by then is not told: both of these last until somebody acts."""
    model = f"pushed-{uuid.uuid4()}"
    platform.script(model, {"plan": {"steps": [plans.asks_first()]}}, {"text": "two"})
    agent = known_agent(api, CALCULATOR, model=model)
    headers = {"Authorization": f"ApiKey {key(platform)}"}
    with opened(platform, additional_headers=headers) as socket:
        socket.send(json.dumps({"type": "connection_init"}))
        assert receive(socket) == {"type": "connection_ack"}
        socket.send(json.dumps(subscribing(agent["id"])))
        socket.send(json.dumps({"type": "ping"}))
        assert receive(socket) == {"type": "pong"}
        statuses = (receive(socket)["payload"]["data"]["agentStatusUpdated"] for _ in count())
        task = api.task(agent["id"], "Add")
        assert "WAITING" in statuses
        asked = eventually(lambda: plans.pending(api, task))
        assert asked
        api.post(f"/approvals/{asked['id']}", json={"decision": "approve"}).raise_for_status()
        assert "IDLE" in statuses


def test_junk_ends_a_connection_and_nothing_else(platform: Platform) -> None:
    for junk in ("", "junk", "[" * 3000, '{"type": "dance"}', '{"type": "subscribe", "id": "1"}'):
        with opened(platform) as socket:
            socket.send(junk or "{}")
            assert receive(socket)["payload"]["code"] == 4400
            with pytest.raises(ConnectionClosed):
                socket.recv(timeout=30)
    with opened(platform) as socket:
        init = {"type": "connection_init", "payload": {"apiKey": key(platform)}}
        socket.send(json.dumps(init))
        assert receive(socket) == {"type": "connection_ack"}


def test_another_protocol_is_refused_at_the_handshake(platform: Platform) -> None:
    with pytest.raises(InvalidStatus) as refused:
        connect(
            platform.facts["graphqlWebSocketUrl"], subprotocols=[Subprotocol("graphql-ws")]
        ).close()
    assert refused.value.response.status_code == 400


def test_another_users_agent_is_not_to_be_watched(platform: Platform, api: Api) -> None:
    agent = known_agent(api)
    with opened(platform) as socket:
        socket.send(
            json.dumps({"type": "connection_init", "payload": {"apiKey": key(platform, 1)}})
        )
        assert receive(socket) == {"type": "connection_ack"}
        socket.send(json.dumps(subscribing(agent["id"])))
        refusal = receive(socket)
        assert refusal["type"] == "error"
        assert refusal["payload"][0]["extensions"]["code"] == "Forbidden"


CONFIGURATION = '{llmProvider: OPENAI, model: "simulated", tools: [], systemPrompt: "Be brief"}'


def ask(api: Api, query: str) -> dict[str, Any]:
    answer = api.post("/graphql", json={"query": query}).raise_for_status().json()
    assert "errors" not in answer, answer
    return dict(answer["data"])


def test_what_is_asked_for_in_graphql_is_there_in_rest(api: Api) -> None:
    create = (
        f'mutation {{ createAgent(input: {{name: "made", configuration: {CONFIGURATION}, '
        f'clientMutationId: "{uuid.uuid4()}"}}) {{ id name status }} }}'
    )
    made = ask(api, create)["createAgent"]
    assert ask(api, create)["createAgent"]["id"] == made["id"], "asked for again it is the same"
    path, id = f"/agents/{made['id']}", json.dumps(made["id"])
    assert api.get(path).json()["name"] == "made"
    changes = '{name: "changed", configuration: {systemPrompt: null}}'
    changed = ask(api, f"mutation {{ it: updateAgent(id: {id}, input: {changes}) {{ name }} }}")
    assert changed == {"it": {"name": "changed"}}
    assert api.get(path).json()["configuration"]["systemPrompt"] is None
    given = '{description: "Who are you?"}'
    task = ask(
        api, f"mutation {{ it: createTask(agentId: {id}, input: {given}) {{ id agentId }} }}"
    )
    assert api.finished(task["it"])["status"] == "completed"
    assert ask(api, f"mutation {{ it: deleteAgent(id: {id}) }}") == {"it": True}
    assert api.get(path).status_code == 404


def test_rest_and_graphql_tell_the_same_calls_of_tools(platform: Platform, api: Api) -> None:
    fields = "id tool parameters status output startedAt completedAt durationMs"
    task = api.finished(api.task(platform.calculating_agent(api)["id"], "What is 12 * (7 + 3)?"))
    trace = api.get(f"/agents/{task['agentId']}/tasks/{task['id']}/trace").json()
    expected = [
        [call | {"status": call["status"].upper()} for call in step["toolInvocations"]]
        for step in trace["steps"]
    ]
    named = f'agentId: "{task["agentId"]}", taskId: "{task["id"]}"'
    query = f"{{ task({named}) {{ steps {{ toolInvocations {{ {fields} }} }} }} }}"

    def are_told() -> bool:
        steps = (ask(api, query)["task"] or {"steps": []})["steps"]
        return [step["toolInvocations"] for step in steps] == expected

    assert sum(map(len, expected)) == 1
    assert eventually(are_told), ask(api, query)


def test_what_rest_refuses_graphql_refuses(api: Api) -> None:
    agent = api.agent()
    task = api.finished(api.task(agent["id"], "Who are you?"))
    ids = f'agentId: "{agent["id"]}", taskId: "{task["id"]}"'
    no_tool = '{llmProvider: OPENAI, model: "", tools: []}'
    refused = {
        f"cancelTask({ids}) {{ id }}": ("TaskEnded", None),
        f'createAgent(input: {{name: "x", configuration: {no_tool}}}) {{ id }}': (
            "Invalid",
            ["configuration.model"],
        ),
    }
    for field, (code, fields) in refused.items():
        answer = api.post("/graphql", json={"query": f"mutation {{ {field} }}"}).json()
        told = answer["errors"][0]["extensions"]
        assert told["code"] == code, told
        if fields:
            assert [each["field"] for each in told["details"]["fields"]] == fields
