import json
import uuid
from collections.abc import Mapping
from typing import Any

import pytest
from chalicelib.agents.use_cases import MAX_CONFIGURATION_BYTES
from common.principals import Permission, Principal

from tests.service import Answer, Service, user

CONFIGURATION = {"llmProvider": "openai", "model": "gpt-5", "tools": []}
TOOL = {
    "name": "calculator",
    "description": "Calculates",
    "parameters": {"type": "object"},
    "handler": "agentic-tool-calculator",
}
READER = Permission("agents", ("read",))
WRITER = Permission("agents", ("write",))


def somebody(*permissions: Permission) -> Principal:
    name = f"user-{uuid.uuid4()}"
    return user(name, permissions) if permissions else user(name)


def create(service: Service, by: Principal | None = None, **configuration: Any) -> dict[str, Any]:
    body = {"name": "helper", "configuration": CONFIGURATION | configuration}
    answer = service.request("POST", "/agents", body, by=by)
    assert answer.status == 201, answer
    return dict(answer.body)


def put(service: Service, agent: Mapping[str, Any], body: object, **options: Any) -> Answer:
    return service.request("PUT", f"/agents/{agent['id']}", body, **options)


def get(service: Service, agent: Mapping[str, Any], **options: Any) -> Answer:
    return service.request("GET", f"/agents/{agent['id']}", **options)


def code(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.body["error"]["code"]


def announced(service: Service, agent: Mapping[str, Any]) -> list[str]:
    return [
        event["detail-type"]
        for event in service.outbox()
        if event["detail"]["aggregateId"] == agent["id"]
    ]


def test_a_created_agent_is_idle_and_belongs_to_its_creator(agents: Service) -> None:
    ada = somebody()
    body = {"name": "helper", "configuration": CONFIGURATION}
    answer = agents.request("POST", "/agents", body, by=ada)
    assert answer.status == 201
    agent = answer.body
    assert agent | {"id": "", "createdAt": "", "updatedAt": ""} == {
        "id": "",
        "userId": ada.user_id,
        "name": "helper",
        "configuration": CONFIGURATION,
        "status": "idle",
        "revision": 1,
        "createdAt": "",
        "updatedAt": "",
    }
    assert agent["createdAt"] == agent["updatedAt"]
    assert answer.headers["ETag"] == '"1"'
    assert get(agents, agent, by=ada).body == agent


def test_an_update_changes_what_it_names_and_leaves_the_rest(agents: Service) -> None:
    agent = create(agents, temperature=0.5, systemPrompt="Be brief", maxTokens=100)
    answer = put(agents, agent, {"configuration": {"temperature": 1, "maxTokens": None}})
    assert answer.status == 200
    assert answer.body["name"] == "helper"
    assert answer.body["configuration"] == CONFIGURATION | {
        "temperature": 1,
        "systemPrompt": "Be brief",
        "maxTokens": None,
    }
    assert answer.body["updatedAt"] >= agent["updatedAt"]
    assert get(agents, agent).body == answer.body


def test_an_update_replaces_tools_and_memory_as_a_whole(agents: Service) -> None:
    memory = {"maxContextLength": 100, "summarizationThreshold": 1, "retentionPolicy": "session"}
    agent = create(agents, tools=[TOOL], memoryConfig=memory)
    other = TOOL | {"name": "clock"}
    changed = put(agents, agent, {"configuration": {"tools": [other]}}).body["configuration"]
    assert changed["tools"] == [other]
    assert changed["memoryConfig"] == memory
    partial = {"configuration": {"memoryConfig": {"maxContextLength": 200}}}
    assert code(put(agents, agent, partial)) == (400, "Invalid")


@pytest.mark.parametrize("body", [{}, {"name": None}, {"configuration": None}])
def test_an_update_of_nothing_leaves_the_agent_as_it_is(agents: Service, body: object) -> None:
    agent = create(agents)
    answer = put(agents, agent, body)
    assert answer.status == 200
    changed = {"revision", "updatedAt"}
    assert {k: v for k, v in answer.body.items() if k not in changed} == {
        k: v for k, v in agent.items() if k not in changed
    }


def test_every_update_makes_a_new_revision(agents: Service) -> None:
    agent = create(agents)
    tags = [put(agents, agent, {"name": f"name {n}"}).headers["ETag"] for n in range(3)]
    assert tags == ['"2"', '"3"', '"4"']
    assert get(agents, agent).headers["ETag"] == '"4"'


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_a_stale_revision_is_not_overwritten(agents: Service, method: str) -> None:
    agent = create(agents)
    put(agents, agent, {"name": "newer"})
    path, headers = f"/agents/{agent['id']}", {"If-Match": '"1"'}
    answer = agents.request(method, path, {"name": "stale"}, headers=headers)
    assert code(answer) == (412, "PreconditionFailed")
    assert answer.body["error"]["details"] == {"revision": 2}
    assert get(agents, agent).body["name"] == "newer"


@pytest.mark.parametrize("tag", ['"1"', "*"])
def test_the_current_revision_is_changed(agents: Service, tag: str) -> None:
    agent = create(agents)
    assert put(agents, agent, {"name": "new"}, headers={"If-Match": tag}).status == 200
    path, current = f"/agents/{agent['id']}", {"If-Match": '"2"'}
    assert agents.request("DELETE", path, headers=current).status == 204


def test_a_deleted_agent_is_gone(agents: Service) -> None:
    agent = create(agents)
    answer = agents.request("DELETE", f"/agents/{agent['id']}")
    assert (answer.status, answer.text) == (204, "")
    for method in ("GET", "PUT", "DELETE"):
        again = agents.request(method, f"/agents/{agent['id']}", {})
        assert code(again) == (404, "AgentNotFound")
        assert again.body["error"]["details"] == {"agentId": agent["id"]}
    assert sorted(announced(agents, agent)) == ["AgentCreated", "AgentDeleted"]


def test_a_refused_change_announces_nothing(agents: Service) -> None:
    agent, grace = create(agents), somebody()
    path = f"/agents/{agent['id']}"
    agents.request("PUT", path, {"name": ""})
    agents.request("PUT", path, {"name": "stale"}, headers={"If-Match": '"9"'})
    agents.request("PUT", path, {"name": "theirs"}, by=grace)
    agents.request("DELETE", path, by=grace)
    assert announced(agents, agent) == ["AgentCreated"]
    assert get(agents, agent).body == agent


def listed(service: Service, by: Principal, query: str = "") -> dict[str, Any]:
    answer = service.request("GET", f"/agents{query}", by=by)
    assert answer.status == 200, answer
    return dict(answer.body)


def test_a_user_lists_their_own_agents_newest_first(agents: Service) -> None:
    ada, grace = somebody(), somebody()
    mine = [create(agents, ada) for _ in range(3)]
    create(agents, grace)
    found = listed(agents, ada)
    assert found["nextToken"] is None
    assert sorted(found["items"], key=lambda agent: agent["id"]) == sorted(
        mine, key=lambda agent: agent["id"]
    )
    times = [agent["createdAt"] for agent in found["items"]]
    assert times == sorted(times, reverse=True)


def test_the_pages_of_a_list_are_the_list(agents: Service) -> None:
    ada = somebody()
    mine = {create(agents, ada)["id"] for _ in range(5)}
    seen, token = [], ""
    for _ in range(10):
        page = listed(agents, ada, f"?limit=2{token}")
        assert len(page["items"]) <= 2
        seen += [agent["id"] for agent in page["items"]]
        if page["nextToken"] is None:
            break
        token = f"&nextToken={page['nextToken']}"
    assert len(seen) == 5
    assert set(seen) == mine


def test_a_page_of_another_user_can_not_be_continued(agents: Service) -> None:
    ada = somebody()
    create(agents, ada)
    create(agents, ada)
    token = listed(agents, ada, "?limit=1")["nextToken"]
    for by, text in ((somebody(), token), (ada, token[:-6] + "AAAA=="), (ada, "nonsense")):
        answer = agents.request("GET", f"/agents?limit=1&nextToken={text}", by=by)
        assert code(answer) == (400, "Invalid")


def test_a_list_of_nothing_is_empty(agents: Service) -> None:
    assert listed(agents, somebody()) == {"items": [], "nextToken": None}


@pytest.mark.parametrize("query", ["?limit=0", "?limit=101", "?page=2", "?status=idle"])
def test_a_wrong_query_is_refused(agents: Service, query: str) -> None:
    assert code(agents.request("GET", f"/agents{query}")) == (400, "Invalid")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_an_agent_is_its_owners_alone(agents: Service, method: str) -> None:
    agent = create(agents, somebody())
    path = f"/agents/{agent['id']}"
    assert code(agents.request(method, path, {}, by=somebody())) == (403, "Forbidden")
    missing = f"/agents/{uuid.uuid4()}"
    assert code(agents.request(method, missing, {}, by=somebody()))[0] == 404


@pytest.mark.parametrize(
    ("method", "path", "held"),
    [
        ("POST", "/agents", READER),
        ("GET", "/agents", WRITER),
        ("GET", "/agents/a", WRITER),
        ("PUT", "/agents/a", READER),
        ("DELETE", "/agents/a", READER),
        ("POST", "/agents", Permission("tasks", ("*",))),
    ],
)
def test_an_operation_needs_its_permission(
    agents: Service, method: str, path: str, held: Permission
) -> None:
    body = {"name": "helper", "configuration": CONFIGURATION}
    assert code(agents.request(method, path, body, by=somebody(held))) == (403, "Forbidden")


def test_a_repeated_creation_makes_one_agent(agents: Service) -> None:
    ada, key = somebody(), {"Idempotency-Key": str(uuid.uuid4())}
    configuration = CONFIGURATION | {"temperature": 5e-324, "tools": [TOOL]}
    body = {"name": "é🤖", "configuration": configuration}
    first = agents.request("POST", "/agents", body, by=ada, headers=key)
    again = agents.request("POST", "/agents", body, by=ada, headers=key)
    assert (first.status, again.status) == (201, 201)
    assert again.body == first.body
    assert again.headers["Idempotent-Replayed"] == "true"
    assert [agent["id"] for agent in listed(agents, ada)["items"]] == [first.body["id"]]
    assert announced(agents, first.body) == ["AgentCreated"]


def test_a_repeated_creation_is_answered_with_the_same_etag(agents: Service) -> None:
    key = {"Idempotency-Key": str(uuid.uuid4())}
    body = {"name": "helper", "configuration": CONFIGURATION}
    first, again = (agents.request("POST", "/agents", body, headers=key) for _ in range(2))
    assert again.headers.get("ETag") == first.headers["ETag"]


def test_a_key_with_another_body_is_refused(agents: Service) -> None:
    ada, key = somebody(), {"Idempotency-Key": str(uuid.uuid4())}
    body = {"name": "helper", "configuration": CONFIGURATION}
    agents.request("POST", "/agents", body, by=ada, headers=key)
    other = agents.request("POST", "/agents", body | {"name": "other"}, by=ada, headers=key)
    assert code(other) == (422, "IdempotencyMismatch")
    assert len(listed(agents, ada)["items"]) == 1


def tool(**changes: Any) -> dict[str, Any]:
    return {"tools": [TOOL | changes]}


MEMORY = {"maxContextLength": 1000, "summarizationThreshold": 0.8, "retentionPolicy": "session"}
BAD_CONFIGURATIONS = [
    {"llmProvider": "mistral"},
    {"llmProvider": "OpenAI"},
    {"llmProvider": None},
    {"model": ""},
    {"model": "  "},
    {"model": "m" * 101},
    {"model": 5},
    {"tools": None},
    {"tools": {}},
    {"tools": [TOOL, TOOL]},
    {"tools": [TOOL | {"name": f"t{n}"} for n in range(51)]},
    tool(name=""),
    tool(name="two words"),
    tool(name="n" * 65),
    tool(name="name\n"),
    tool(description=" "),
    tool(description="d" * 1001),
    tool(parameters=[]),
    tool(parameters=None),
    tool(handler="calculator"),
    tool(handler="arn:aws:lambda:us-east-1:123456789012:function:agentic-tool-x"),
    tool(handler="agentic-tool-"),
    tool(handler="agentic-tool-x:1"),
    tool(handler="agentic-tool-x/../y"),
    tool(handler="xagentic-tool-x"),
    tool(handler="Agentic-Tool-x"),
    tool(handler="agentic-tool-x\n"),
    tool(handler="agentic-tool-" + "x" * 51),
    tool(secret="x"),
    {"systemPrompt": "p" * 20_001},
    {"systemPrompt": 1},
    {"temperature": -0.1},
    {"temperature": 2.0000001},
    {"temperature": "1"},
    {"temperature": True},
    {"maxTokens": 0},
    {"maxTokens": 1_000_001},
    {"maxTokens": 1.5},
    {"memoryConfig": {}},
    {"memoryConfig": MEMORY | {"maxContextLength": 99}},
    {"memoryConfig": MEMORY | {"summarizationThreshold": 0}},
    {"memoryConfig": MEMORY | {"summarizationThreshold": 1.1}},
    {"memoryConfig": MEMORY | {"retentionPolicy": "for ever"}},
    {"unknown": 1},
    {"apiKey": "sk-secret"},
    {"baseUrl": "http://169.254.169.254"},
]


@pytest.mark.parametrize("changes", BAD_CONFIGURATIONS, ids=lambda c: json.dumps(c)[:60])
def test_a_bad_configuration_is_refused_field_by_field(
    agents: Service, changes: dict[str, Any]
) -> None:
    body = {"name": "helper", "configuration": CONFIGURATION | changes}
    created = agents.request("POST", "/agents", body)
    assert code(created) == (400, "Invalid")
    agent = create(agents)
    changed = put(agents, agent, {"configuration": changes})
    assert code(changed) == (400, "Invalid")
    for answer in (created, changed):
        fields = [each["field"] for each in answer.body["error"]["details"]["fields"]]
        assert fields
        assert all(field.startswith("configuration") for field in fields)
    assert get(agents, agent).body == agent


@pytest.mark.parametrize("name", ["", " ", "\t\n", "\u2003", "n" * 101, 5, ["a"], {}])
def test_a_bad_name_is_refused(agents: Service, name: object) -> None:
    body = {"name": name, "configuration": CONFIGURATION}
    assert code(agents.request("POST", "/agents", body)) == (400, "Invalid")
    assert code(put(agents, create(agents), {"name": name})) == (400, "Invalid")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "helper"},
        {"configuration": CONFIGURATION},
        {"name": None, "configuration": CONFIGURATION},
        {"name": "helper", "configuration": None},
        {"name": "helper", "configuration": []},
        {"name": "helper", "configuration": {}},
        {"name": "helper", "configuration": CONFIGURATION, "userId": "grace"},
        {"name": "helper", "configuration": CONFIGURATION, "id": "mine"},
        {"name": "helper", "configuration": CONFIGURATION, "status": "error"},
    ],
)
def test_an_incomplete_or_presumptuous_agent_is_refused(agents: Service, body: object) -> None:
    assert code(agents.request("POST", "/agents", body)) == (400, "Invalid")


@pytest.mark.parametrize("body", [{"userId": "grace"}, {"status": "idle"}, {"revision": 9}])
def test_an_update_can_not_touch_what_is_not_the_owners(agents: Service, body: object) -> None:
    agent = create(agents)
    assert code(put(agents, agent, body)) == (400, "Invalid")
    assert get(agents, agent).body == agent


def test_a_configuration_of_more_than_100_kb_is_refused(agents: Service) -> None:
    padding = "x" * MAX_CONFIGURATION_BYTES
    large = {"tools": [TOOL | {"parameters": {"type": "object", "x-padding": padding}}]}
    body = {"name": "helper", "configuration": CONFIGURATION | large}
    assert code(agents.request("POST", "/agents", body)) == (413, "TooLarge")
    agent = create(agents)
    assert code(put(agents, agent, {"configuration": large})) == (413, "TooLarge")
    assert get(agents, agent).body == agent


def test_a_configuration_of_almost_100_kb_is_kept_and_announced_whole(agents: Service) -> None:
    padding = "x" * (MAX_CONFIGURATION_BYTES - 1000)
    large = {"tools": [TOOL | {"parameters": {"type": "object", "x-padding": padding}}]}
    agent = create(agents, **large)
    assert get(agents, agent).body["configuration"] == CONFIGURATION | large
    (event,) = [e for e in agents.outbox() if e["detail"]["aggregateId"] == agent["id"]]
    assert event["detail"]["configuration"] == agent["configuration"]


def test_updates_together_can_not_exceed_the_limit(agents: Service) -> None:
    def half(name: str) -> dict[str, Any]:
        filled = {"type": "object", "x-padding": "x" * (MAX_CONFIGURATION_BYTES * 2 // 3)}
        return TOOL | {"name": name, "parameters": filled}

    agent = create(agents, tools=[half("a")])
    answer = put(agents, agent, {"configuration": {"tools": [half("a"), half("b")]}})
    assert code(answer) == (413, "TooLarge")
