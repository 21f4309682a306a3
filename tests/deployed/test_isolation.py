"""Nobody sees or changes what belongs to another user: every operation there is, called by Bob with
the ids of what Ada has."""

import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from common.operations import Operation

from tests.operations import (
    Ids,
    body_of,
    every_operation,
    names_an_object,
    path_of,
    root_fields,
    socket_messages,
)
from tests.platform import CALCULATOR, Account, Api, Platform, eventually

pytestmark = [pytest.mark.deployed, pytest.mark.e2e]

GUARDED = [operation for operation in every_operation() if not operation.public]
READS = [operation for operation in GUARDED if operation.method == "GET"]


@dataclass(frozen=True)
class Somebody:
    """A user with one of everything: its ids, by the names that paths have for them, and a word
    that is in all that the user wrote."""

    api: Api
    account: Account
    ids: Ids
    canary: str

    def call(self, operation: Operation, ids: Ids, **options: Any) -> httpx.Response:
        path, body = path_of(operation, ids), body_of(operation, ids)
        return self.api.request(operation.method, path, json=body, **options)

    def ask(self, document: str) -> dict[str, Any]:
        answer = self.api.post("/graphql", json={"query": document})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def is_shown_by(self, answer: httpx.Response) -> bool:
        """A refusal may repeat the ids that it was asked for."""
        secrets = [self.canary, *(self.ids.values() if answer.is_success else [])]
        return any(secret in answer.text for secret in secrets)

    def belongings(self) -> dict[str, Any]:
        """As far as only its owner changes it."""
        agent = self.api.get(f"/agents/{self.ids['agent_id']}").json()
        keys = self.api.get("/auth/api-keys").json()["items"]
        return {
            "agent": (agent["revision"], agent["name"], agent["configuration"]),
            "agents": [each["id"] for each in self.api.get("/agents").json()["items"]],
            "task": self.api.get(_task_path(self.ids)).json(),
            "schedules": self.api.get("/schedules").json()["items"],
            "keys": [key["keyId"] for key in keys],
        }

    def next_tokens(self) -> dict[str, str]:
        """By the operation that gave it."""
        pages = {each.name: self.call(each, self.ids, params={"limit": 1}) for each in READS}
        told = {name: page.json() for name, page in pages.items() if page.is_success}
        return {name: page["nextToken"] for name, page in told.items() if page.get("nextToken")}


@contextmanager
def somebody(platform: Platform, name: str) -> Iterator[Somebody]:
    user, canary = platform.new_user(name), f"canary-{uuid.uuid4().hex}"
    with platform.api(user) as api:
        ids = {"user_id": user["userId"], **_made(platform, api, canary)}
        yield Somebody(api, user, ids, canary)


def _made(platform: Platform, api: Api, canary: str) -> Ids:
    """Everything once, and of what is listed a second one, so that there is a next page."""
    answer = {"type": "response", "description": canary, "answer": canary}
    platform.script(canary, {"plan": {"steps": [answer]}}, repeat_last=True)
    tool = CALCULATOR | {"description": canary}
    agents = [
        api.agent(tool, model=canary, systemPrompt=canary, maxTokens=number) for number in (1, 2)
    ]
    api.put(f"/agents/{agents[0]['id']}", json={"name": canary}).raise_for_status()
    tasks = [api.task(agents[0]["id"], canary) for _ in range(2)]
    assert [api.finished(task)["result"] for task in tasks] == [canary] * 2
    used, waiting = _with_a_tool(platform, api, canary), _that_waits(platform, api, canary)
    key = api.created("/auth/api-keys", {"name": canary})
    wanted = {"agentId": agents[0]["id"], "description": canary, "rate": "30 days"}
    schedules = [api.created("/schedules", wanted) for _ in range(2)]
    session = api.post("/auth/token").raise_for_status().json()
    together = {
        "pattern": "sequential",
        "participants": [{"agentId": agent["id"], "description": canary} for agent in agents],
    }
    collaboration = api.collaborated(api.created("/collaborations", together))
    assert collaboration["status"] == "completed"
    for _ in range(2):
        message = {"toAgentId": agents[0]["id"], "content": canary}
        api.created(f"/agents/{agents[1]['id']}/inbox", message)
    ids = {
        "agent_id": agents[0]["id"],
        "other_agent_id": agents[1]["id"],
        "collaboration_id": collaboration["id"],
        "task_id": tasks[0]["id"],
        "schedule_id": schedules[0]["id"],
        "key_id": key["keyId"],
        "refresh_token": session["refreshToken"],
        "dead_letter_id": str(uuid.uuid4()),  # they belong to the platform
        "call_id": used,
        "approval_id": waiting,
        **_talked(api, agents[0]["id"], canary),
    }
    assert eventually(lambda: _is_everywhere(api, ids)), "not every service heard of the task"
    return ids


def _talked(api: Api, agent_id: str, canary: str) -> Ids:
    """The ids of one of two messages and of its session, which is one of two."""
    path = f"/agents/{agent_id}/messages"
    sessions = [str(uuid.uuid4()) for _ in range(2)]
    for session in (sessions[1], *[sessions[0]] * 2):
        body = {"content": canary, "sessionId": session}
        message = api.post(path, json=body).raise_for_status().json()
    assert eventually(lambda: api.get(f"{path}/{message['id']}").json()["status"] != "pending")
    return {"message_id": message["id"], "session_id": sessions[0]}


def _with_a_tool(platform: Platform, api: Api, canary: str) -> str:
    """The id of a tool call."""
    model = f"{canary}-tool"
    call = {"type": "tool_call", "description": "Add", "tool": CALCULATOR["name"]}
    steps = [call | {"parameters": {"expression": "1+1"}}]
    platform.script(model, {"plan": {"steps": steps}})
    agent = api.agent(CALCULATOR, model=model)
    task = api.task(agent["id"], canary)
    assert api.finished(task)["status"] == "completed"
    trace = api.get(f"/agents/{agent['id']}/tasks/{task['id']}/trace").json()
    return str(trace["steps"][0]["toolInvocations"][0]["id"])


def _that_waits(platform: Platform, api: Api, canary: str) -> str:
    """The id of one of two approvals that nobody decides."""
    model = f"{canary}-waiting"
    step = {"type": "response", "description": canary, "answer": canary, "needsApproval": True}
    platform.script(model, {"plan": {"steps": [step]}}, repeat_last=True)
    agent = api.agent(model=model)
    for _ in range(2):
        api.task(agent["id"], canary)
    asked = eventually(lambda: _two(api.get("/approvals").json()["items"]))
    return str(asked[0]["id"])


def _two(items: list[Any]) -> list[Any]:
    return items if len(items) == 2 else []


def _is_everywhere(api: Api, ids: Ids) -> bool:
    """The read models know how the task ended."""
    history = api.get("/events", params={"taskId": ids["task_id"]}).json()["items"]
    messages = api.get(f"/agents/{ids['agent_id']}/inbox").json()["items"]
    updates = api.get(f"/agents/{ids['agent_id']}/updates").json().get("items", [])
    (field,) = [field for field in root_fields() if field.name == "task"]
    shown = api.post("/graphql", json={"query": field.document(ids)}).json()["data"]["it"] or {}
    ended = [each for each in updates if each.get("taskId") == ids["task_id"]]
    return (
        any(entry["type"] == "TaskCompleted" for entry in history)
        and any(update["event"] == "TaskCompleted" for update in ended)
        and shown.get("status") == "COMPLETED"
        and len(messages) == 2
    )


def _task_path(ids: Ids) -> str:
    return f"/agents/{ids['agent_id']}/tasks/{ids['task_id']}"


@pytest.fixture(scope="module")
def both(platform: Platform) -> Iterator[tuple[Somebody, Somebody]]:
    homes = [somebody(platform, name) for name in ("Ada", "Bob")]
    with ThreadPoolExecutor(2) as pool:
        ada, bob = pool.map(lambda home: home.__enter__(), homes)
        yield ada, bob
        for home in homes:
            home.__exit__(None, None, None)


@pytest.fixture
def ada(both: tuple[Somebody, Somebody]) -> Somebody:
    return both[0]


@pytest.fixture
def bob(both: tuple[Somebody, Somebody]) -> Somebody:
    return both[1]


def test_an_owner_sees_everything_that_the_others_must_not(ada: Somebody) -> None:
    """Else the tests below would prove nothing; and what was created is the caller's."""
    for operation in READS:
        if names_an_object(operation) and "{user_id}" not in operation.path:
            answer = ada.call(operation, ada.ids)
            assert answer.is_success, (operation, answer.text)
            assert ada.is_shown_by(answer), operation
    for path in (f"/agents/{ada.ids['agent_id']}", _task_path(ada.ids)):
        assert ada.api.get(path).json()["userId"] == ada.ids["user_id"]
    for field in root_fields():
        if field.kind == "query":
            assert ada.canary in json.dumps(ada.ask(field.document(ada.ids))), field.name


def test_no_operation_serves_another_user(ada: Somebody, bob: Somebody) -> None:
    before = ada.belongings()
    for operation in GUARDED:
        answer = bob.call(operation, ada.ids)
        assert not ada.is_shown_by(answer), (operation, answer.text)
        assert answer.status_code < 500, (operation, answer.text)
        if names_an_object(operation):
            assert answer.status_code in (403, 404), (operation, answer.text)
            assert answer.json()["error"]["code"]
    assert ada.belongings() == before


@pytest.mark.parametrize("parameter", ["agentId", "taskId", "keyId", "userId"])
def test_no_query_parameter_reaches_into_another_users_data(
    ada: Somebody, bob: Somebody, parameter: str
) -> None:
    foreign = {
        "agentId": ada.ids["agent_id"],
        "taskId": ada.ids["task_id"],
        "keyId": ada.ids["key_id"],
        "userId": ada.ids["user_id"],
    }
    for operation in READS:
        answer = bob.call(operation, bob.ids, params={parameter: foreign[parameter]})
        assert not ada.is_shown_by(answer), (operation, answer.text)
        assert answer.status_code < 500, (operation, answer.text)


def test_no_next_token_of_another_user_is_honoured(ada: Somebody, bob: Somebody) -> None:
    tokens = ada.next_tokens()
    assert {"list_agents", "list_tasks", "list_api_keys", "list_events"} <= tokens.keys()
    for source, token in tokens.items():
        for operation in READS:
            answer = bob.call(operation, bob.ids, params={"nextToken": token})
            assert not ada.is_shown_by(answer), (operation, source, answer.text)
            if operation.name in tokens:
                assert answer.status_code == 400, (operation, source, answer.text)


def test_no_field_of_graphql_serves_another_user(ada: Somebody, bob: Somebody) -> None:
    before = ada.belongings()
    for field in root_fields():
        answer = bob.ask(field.document(ada.ids))
        assert ada.canary not in json.dumps(answer), (field.name, answer)
        if field.parameters:
            assert not (answer["data"] or {}).get("it"), (field.name, answer)
            assert answer["errors"], field.name
        else:
            told = json.dumps(answer)
            assert not [each for each in ada.ids.values() if each in told], (field.name, answer)
    assert ada.belongings() == before


def test_no_cursor_of_graphql_serves_another_user(ada: Somebody, bob: Somebody) -> None:
    lists = [field for field in root_fields() if "nextToken" in field.field.args]
    assert lists
    for source in lists:
        token = ada.ask(source.document(ada.ids, limit=1))["data"]["it"]["nextToken"]
        assert token, source.name
        for field in lists:
            answer = bob.ask(field.document(bob.ids, nextToken=token))
            assert not (answer["data"] or {}).get("it"), (field.name, answer)
            assert answer["errors"][0]["extensions"]["code"] == "Invalid"


def test_a_parent_of_ones_own_opens_no_child_of_another(ada: Somebody, bob: Somebody) -> None:
    mixed = {**ada.ids, "agent_id": bob.ids["agent_id"]}
    below = [each for each in GUARDED if "{agent_id}" in each.path and each.path.count("{") > 1]
    assert below
    for operation in below:
        answer = bob.call(operation, mixed)
        assert answer.status_code == 404, (operation, answer.text)
        assert not ada.is_shown_by(answer)
    for field in root_fields():
        if len(field.parameters) > 1:
            told = bob.ask(field.document(mixed))
            assert not (told["data"] or {}).get("it"), (field.name, told)


def test_no_socket_hears_of_another_users_agents(
    platform: Platform, ada: Somebody, bob: Somebody
) -> None:
    with platform.socket(ada.account) as hers, platform.socket(bob.account) as his:
        hers.subscribe(ada.ids["agent_id"])
        for message in socket_messages(ada.ids):
            his.send(**message)
            answer = json.loads(his.connection.recv(timeout=30))
            if message["action"] == "subscribe":
                assert (answer["type"], answer["error"]["code"]) == ("error", "Forbidden")
            assert ada.canary not in json.dumps(answer)
        task = ada.api.task(ada.ids["agent_id"], ada.canary)
        while hers.receive("update")["event"] != "TaskCompleted":
            pass
        his.send(action="ping")
        assert json.loads(his.connection.recv(timeout=30))["type"] == "pong"
        assert ada.api.finished(task)["result"] == ada.canary


def test_nothing_but_what_is_public_answers_a_stranger(platform: Platform, ada: Somebody) -> None:
    known = {**ada.ids, "refresh_token": "not known to strangers"}
    with httpx.Client(base_url=platform.facts["baseUrl"], timeout=60) as stranger:
        for operation in every_operation():
            path, body = path_of(operation, known), body_of(operation, known)
            answer = stranger.request(operation.method, path, json=body)
            about = (operation, answer.text)
            assert not ada.is_shown_by(answer), about
            if not operation.public:
                assert answer.status_code == 401, about
                error = answer.json()["error"]
                assert {"code", "message", "requestId", "timestamp"} == error.keys(), about
                assert error["code"] == "Unauthenticated", about
