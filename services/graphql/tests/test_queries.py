"""What clients may ask of POST /graphql, and what they are told when it goes wrong."""

import json
import logging
from pathlib import Path

import pytest
from chalicelib.graphql import execution
from common.events.agents import AgentCreatedV1
from common.events.tasks import TaskCreatedV1
from common.principals import Permission
from graphql import build_client_schema, get_introspection_query

from tests.service import user

BOB = user("bob")
TOOL = {
    "name": "calculator",
    "description": "Calculates",
    "parameters": {"type": "object", "properties": {"a": {"type": "number"}}},
    "handler": "agentic-tool-calculator",
}
CONFIGURATION = {
    "llmProvider": "anthropic",
    "model": "m",
    "tools": [TOOL],
    "temperature": 1,
    "memoryConfig": {
        "maxContextLength": 100,
        "summarizationThreshold": 0.5,
        "retentionPolicy": "session",
    },
    "addedNextYear": True,
}


def agent_created(agent_id="a1", owner="ada", second=0, **fields):
    about = {"user_id": owner, "aggregate_id": agent_id, "aggregate_version": 1}
    about |= {"agent_id": agent_id, "name": agent_id, "configuration": CONFIGURATION}
    return AgentCreatedV1(timestamp=f"2026-01-01T00:00:{second:02d}.000Z", **about | fields)


def task_created(task_id="t1", agent_id="a1", owner="ada", second=0):
    about = {"user_id": owner, "aggregate_id": task_id, "aggregate_version": 1}
    about |= {"timestamp": f"2026-01-01T00:00:{second:02d}.000Z", "description": "do"}
    return TaskCreatedV1(task_id=task_id, agent_id=agent_id, **about)


@pytest.fixture
def graphql(service):
    running = service("graphql")
    running.consume(agent_created(), task_created(), agent_created("b1", "bob"))
    running.consume(task_created("tb", "b1", "bob"))
    return running


def ask(graphql, query, by=None, **rest):
    answer = graphql.request("POST", "/graphql", {"query": query, **rest}, by=by)
    assert answer.status == 200, answer
    return answer.body


def refusal(graphql, query, by=None, **rest):
    """The one error of an answer, after a look at its envelope."""
    (error,) = ask(graphql, query, by, **rest)["errors"]
    assert {"code", "message", "requestId", "timestamp"} <= set(error["extensions"])
    assert error["extensions"]["message"] == error["message"]
    assert error["extensions"]["requestId"]
    return error["extensions"]


def test_an_agent_shows_its_whole_configuration(graphql):
    query = """query One($id: ID!) { agent(id: $id) { id name status configuration {
      llmProvider model systemPrompt temperature maxTokens
      tools { name description parameters handler }
      memoryConfig { maxContextLength summarizationThreshold retentionPolicy } } } }"""
    answer = ask(graphql, query, variables={"id": "a1"}, operationName="One", extensions={})
    shown = {k: v for k, v in CONFIGURATION.items() if k != "addedNextYear"}
    shown |= {"llmProvider": "ANTHROPIC", "systemPrompt": None, "maxTokens": None}
    expected = {"id": "a1", "name": "a1", "status": "IDLE", "configuration": shown}
    assert answer == {"data": {"agent": expected}}


LISTS = {"agents": "agents(%s)", "tasks": 'tasks(agentId: "a1", %s)'}


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("by_cursor", [False, True])
def test_a_list_is_newest_first_and_ends_honestly(graphql, name, by_cursor):
    made = {
        "agents": [agent_created(f"n{second}", second=second) for second in range(1, 6)],
        "tasks": [task_created(f"n{second}", second=second) for second in range(1, 6)],
    }
    graphql.consume(*made[name])
    seen, arguments, more = [], "limit: 2", True
    while more:
        info = "hasNextPage hasPreviousPage startCursor endCursor"
        fields = f"edges {{ cursor node {{ id }} }} pageInfo {{ {info} }} nextToken"
        page = ask(graphql, f"{{ found: {LISTS[name] % arguments} {{ {fields} }} }}")["data"][
            "found"
        ]
        seen += [edge["node"]["id"] for edge in page["edges"]]
        more = page["pageInfo"]["hasNextPage"]
        assert page["pageInfo"]["hasPreviousPage"] == ("nextToken" in arguments)
        assert page["pageInfo"]["startCursor"] == page["edges"][0]["cursor"]
        assert page["nextToken"] == (page["pageInfo"]["endCursor"] if more else None)
        # Any edge's cursor goes on from that edge: here always from the first of a page.
        cursor = page["edges"][0]["cursor"] if by_cursor else page["pageInfo"]["endCursor"]
        arguments = f'limit: 2, nextToken: "{cursor}"'
    oldest = {"agents": "a1", "tasks": "t1"}[name]
    assert list(dict.fromkeys(seen)) == ["n5", "n4", "n3", "n2", "n1", oldest]


def test_a_cursor_serves_only_the_list_and_the_user_it_was_made_for(graphql):
    token = ask(graphql, "{ agents { pageInfo { endCursor } } }")["data"]["agents"]["pageInfo"]
    for query in ('agents(nextToken: "%s")', 'tasks(agentId: "a1", nextToken: "%s")'):
        text = "{ x: %s { nextToken } }" % (query % token["endCursor"])
        stranger = BOB if query.startswith("agents") else None
        assert refusal(graphql, text, stranger)["code"] == "Invalid"


@pytest.mark.parametrize(
    "field",
    [
        'agent(id: "b1") { id }',
        'task(agentId: "b1", taskId: "tb") { id }',
        'tasks(agentId: "b1") { nextToken }',
    ],
)
def test_what_belongs_to_another_user_is_forbidden(graphql, field):
    answer = ask(graphql, f"{{ it: {field} }}")
    assert answer["errors"][0]["extensions"]["code"] == "Forbidden"
    assert answer["errors"][0]["path"] == ["it"]
    assert not (answer["data"] or {}).get("it")


@pytest.mark.parametrize("bad_id", ["nothing", "", "x" * 5000, "\u00fc", "a/b"])
def test_what_is_missing_is_null(graphql, bad_id):
    query = "query($id: ID!) { agent(id: $id) { id } task(agentId: $id, taskId: $id) { id } }"
    assert ask(graphql, query, variables={"id": bad_id}) == {"data": {"agent": None, "task": None}}
    tasks = "query($id: ID!) { tasks(agentId: $id) { nextToken } }"
    assert refusal(graphql, tasks, variables={"id": bad_id})["code"] == "NotFound"


def test_a_task_is_found_only_with_its_own_agent(graphql):
    graphql.consume(agent_created("a2"))
    assert ask(graphql, '{ task(agentId: "a2", taskId: "t1") { id } }') == {"data": {"task": None}}


def test_lists_hold_nothing_of_another_user(graphql):
    ids = "{ agents { edges { node { id } } } }"
    assert ask(graphql, ids, BOB)["data"]["agents"]["edges"] == [{"node": {"id": "b1"}}]


@pytest.mark.parametrize(
    "query",
    [
        "",
        "{",
        "{ nonsense }",
        "mutation { deleteAgent }",
        "subscription { x }",
        "{ agent { id } }",
        "{ agents(limit: 0) { nextToken } }",
        "{ agents(limit: 101) { nextToken } }",
        '{ agents(nextToken: "abc") { nextToken } }',
        "query A { agents { nextToken } } query B { agents { nextToken } }",
        "{ ...f } fragment f on Query { ...f }",
        'query($id: ID = "x") { agent(id: $id) { id } }',
    ],
)
def test_a_query_that_cannot_be_meant_is_invalid(graphql, query, caplog):
    assert refusal(graphql, query, variables={"id": None})["code"] == "Invalid"
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize(
    "query",
    [
        "{ agents { nextToken } } #" + "x" * 16_384,
        "{ agents { nextToken " + "nextToken " * 2000 + "} }",
        "{" + " ".join(f"a{n}: agents {{ nextToken }}" for n in range(31)) + "}",
        "{ agents " * 11 + "}" * 11,
        "{ ...f0 } "
        + " ".join(f"fragment f{n} on Query {{ agents {{ ...f{n + 1} }} }}" for n in range(11)),
        "{ a " * 990 + "}" * 990,
        "{ agents(limit: " + "[" * 1900,
        "{ ...f0 } "
        + " ".join(f"fragment f{n} on Query {{ ...f{n + 1} }}" for n in range(280))
        + " fragment f280 on Query { agents { nextToken } }",
        "{ ...f0 } "
        + " ".join(f"fragment f{n} on Query {{ ...f{n + 1} ...f{n + 1} }}" for n in range(60))
        + " fragment f60 on Query { nonsense }",
        "{ __schema { types { fields { type { fields { type { fields { type { fields "
        "{ name } } } } } } } } } }",
    ],
    ids="bytes tokens aliases depth fragments deep lists chain bomb introspection".split(),
)
def test_a_query_beyond_the_limits_is_refused_unexecuted(graphql, query):
    answer = ask(graphql, query)
    assert answer["errors"][0]["extensions"]["code"] == "Invalid"
    assert "data" not in answer


def test_the_whole_way_from_agents_to_what_their_tasks_called_is_within_the_limits(graphql):
    steps = "steps { toolInvocations { tool output } }"
    tasks = f"tasks {{ edges {{ node {{ {steps} }} }} }}"
    assert "errors" not in ask(graphql, f"{{ agents {{ edges {{ node {{ {tasks} }} }} }} }}")


DEAR = "edges { node { tasks(limit: %s) { edges { node { steps { id } } } } } }"


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ("{ agents(limit: 100) { %s } }" % (DEAR % 100), None),
        ("query($n: Int) { agents(limit: $n) { %s } }" % (DEAR % "$n"), {"n": 100}),
        ("query($n: Int = 100) { agents(limit: $n) { %s } }" % (DEAR % "$n"), None),
        ("query($n: Int) { agents(limit: 100) { %s } }" % (DEAR % "$n"), {"n": "100"}),
        (
            "{ agents(limit: 100) { edges { node { "
            + " ".join(f"t{n}: tasks(limit: 1) {{ nextToken }}" for n in range(20))
            + " } } } }",
            None,
        ),
        ("{ agents(limit: 99999999999) { %s } }" % (DEAR % 100), None),
    ],
)
def test_a_query_that_costs_too_much_is_refused_unexecuted(graphql, query, variables):
    answer = ask(graphql, query, variables=variables)
    assert "costs" in answer["errors"][0]["message"]
    assert "data" not in answer


def test_an_answer_that_is_too_large_is_refused(graphql):
    large = {**CONFIGURATION, "systemPrompt": "x" * 90_000}
    graphql.consume(*(agent_created(f"l{n}", configuration=large) for n in range(8)))
    fields = "edges { node { configuration { systemPrompt } } }"
    query = "{" + " ".join(f"a{n}: agents {{ {fields} }}" for n in range(8)) + "}"
    assert refusal(graphql, query)["code"] == "Invalid"


def test_the_limits_leave_room_for_real_queries(graphql):
    thirty = "{" + " ".join(f"a{n}: agents {{ nextToken }}" for n in range(30)) + "}"
    assert len(ask(graphql, thirty)["data"]) == 30
    board = "{ agents(limit: 100) { %s } }" % (DEAR % 20)
    assert len(ask(graphql, board)["data"]["agents"]["edges"]) == 1
    introspected = ask(graphql, get_introspection_query())["data"]
    assert "Agent" in build_client_schema(introspected).type_map


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "{",
        "[]",
        '[{"query": "{ agents { nextToken } }"}]',
        "{}",
        '"x"',
        '{"query": 1}',
        '{"query": "\\ud800"}',
        '{"query": "{ a }", "more": 1}',
        '{"query": "{ a }", "variables": []}',
        '{"query": "{ a }", "variables": {"x": NaN}}',
    ],
)
def test_a_body_that_is_no_request_is_refused_as_everywhere(graphql, raw):
    answer = graphql.request("POST", "/graphql", raw=raw)
    assert answer.status == 400
    assert answer.body["error"]["code"] == "Invalid"


def test_each_field_needs_its_own_permission(graphql):
    reader = user(permissions=(Permission("tasks", ("read",)),))
    query = '{ task(agentId: "a1", taskId: "t1") { id } agent(id: "a1") { id } }'
    answer = ask(graphql, query, reader)
    assert answer["data"] == {"task": {"id": "t1"}, "agent": None}
    (error,) = answer["errors"]
    assert (error["path"], error["extensions"]["code"]) == (["agent"], "Forbidden")
    assert "agents:read" in error["message"]


def test_a_schema_with_a_field_for_everybody_is_not_built():
    sound = Path(execution.__file__).with_name("schema.graphql").read_text()
    forgotten = sound.replace('Agent @requires(scope: "agents:read")', "Agent")
    assert forgotten != sound
    with pytest.raises(AssertionError, match=r"^@requires is missing on Query\.agent$"):
        execution.build(forgotten)


def test_what_breaks_inside_is_logged_whole_and_shown_to_nobody(graphql, caplog):
    graphql.consume(agent_created("odd", configuration={"llmProvider": "secret-lab"}))
    query = '{ agent(id: "odd") { id configuration { model } } }'
    with caplog.at_level(logging.ERROR):
        error = refusal(graphql, query)
    assert error["code"] == "InternalError"
    assert "secret-lab" not in json.dumps(error)
    (record,) = [record for record in caplog.records if record.exc_info]
    assert "validation error" in str(record.exc_info[1])


def test_the_schema_is_built_once():
    assert execution.schema() is execution.schema()
