"""What clients ask for is asked of the owner, once, and answered when it can be read here."""

import json

import pytest
from common.events.agents import AgentCreatedV1, AgentDeletedV1, AgentUpdatedV1
from common.events.requests import AgentCreationRequestedV1, RequestRejectedV1
from common.events.tasks import TaskCancelledV1, TaskCreatedV1
from common.principals import Permission, Principal

from tests import agents
from tests.service import user

BOB = user("bob")
CREATE = """mutation($id: String, $input: AgentConfigurationInput!) {
  it: createAgent(input: {name: "helper", configuration: $input, clientMutationId: $id}) {
    id name status } }"""
CONFIGURATION = {
    "llmProvider": "OPENAI",
    "model": "m",
    "systemPrompt": None,
    "tools": [
        {
            "name": "t",
            "description": "d",
            "parameters": {"camelCase": {"snake_case": 1}},
            "handler": "agentic-tool-t",
        }
    ],
    "memoryConfig": {
        "maxContextLength": 100,
        "summarizationThreshold": 0.5,
        "retentionPolicy": "session",
    },
}


@pytest.fixture
def graphql(service):
    running = service("graphql")
    running.consume(agents.created("a1"), agents.created("b1", "bob"))
    return running


def ask(graphql, query=CREATE, by=None, headers=None, **variables):
    asked = {"query": query, "variables": {"input": CONFIGURATION} | variables}
    answer = graphql.request("POST", "/graphql", asked, by=by, headers=headers)
    assert answer.status == 200, answer
    return answer.body


def refusal(answer):
    (error,) = answer["errors"]
    return error["extensions"]


def caused(event, kind, **fields):
    """What the owner announces when it has carried the request out."""
    about = {"user_id": event["userId"], "causation_id": event["eventId"], "aggregate_version": 2}
    return kind(**about | fields)


def made(event, agent_id="n1", **fields):
    about = {"agent_id": agent_id, "aggregate_id": agent_id, **fields}
    return caused(event, AgentCreatedV1, **about, name="helper", configuration=agents.CONFIGURATION)


def requested(graphql):
    return [event["detail"] for event in graphql.outbox()]


def test_a_request_tells_the_owner_what_is_wanted_and_by_whom(graphql):
    assert refusal(ask(graphql))["code"] == "StillInProgress"
    (event,) = graphql.outbox()
    assert event["source"] == "realtime-agentic-api.graphql"
    assert event["detail-type"] == "AgentCreationRequested"
    wanted = {"name": "helper", "configuration": CONFIGURATION | {"llmProvider": "openai"}}
    assert event["detail"]["input"] == wanted
    request = AgentCreationRequestedV1.model_validate(event["detail"])
    assert request.principal == user()
    assert Principal.from_authorizer(request.caller).may("agents:write")


def test_the_answer_is_what_can_be_read(graphql):
    ask(graphql, id="one")
    (event,) = requested(graphql)
    assert graphql.consume(made(event)) == []
    answer = ask(graphql, id="one")
    assert answer == {"data": {"it": {"id": "n1", "name": "helper", "status": "IDLE"}}}
    assert len(requested(graphql)) == 1


def test_an_effect_that_is_known_already_answers_too(graphql):
    """A crash between the read model and the note of it: the event comes again."""
    ask(graphql, id="one")
    (event,) = requested(graphql)
    effect = made(event)
    graphql.consume(effect)
    key = {"PK": f"REQUEST#{event['eventId']}", "SK": "OUTCOME"}
    graphql.table.delete_item(Key=key)
    assert refusal(ask(graphql, id="one"))["code"] == "StillInProgress"
    assert graphql.consume(effect) == []
    assert ask(graphql, id="one")["data"]["it"]["id"] == "n1"


def test_the_owners_refusal_is_the_answer(graphql):
    ask(graphql, id="one")
    (event,) = requested(graphql)
    details = {"quota": "agents", "limit": 1}
    refused = caused(
        event,
        RequestRejectedV1,
        aggregate_id=event["eventId"],
        code="QuotaExceeded",
        message="no more",
        details=details,
    )
    assert graphql.consume(refused, refused) == []
    answer = ask(graphql, id="one")
    assert not answer["data"]
    told = refusal(answer)
    assert (told["code"], told["message"], told["details"]) == ("QuotaExceeded", "no more", details)


@pytest.mark.parametrize("by_header", [True, False])
def test_what_is_asked_for_again_is_one_request(graphql, by_header):
    how = {"headers": {"idempotency-key": "k"}} if by_header else {"id": "k"}
    for _ in range(3):
        assert refusal(ask(graphql, **how))["code"] == "StillInProgress"
    assert len(requested(graphql)) == 1
    other = ask(graphql, **how, input=CONFIGURATION | {"model": "another"})
    assert refusal(other)["code"] == "IdempotencyMismatch"
    assert refusal(ask(graphql, by=BOB, **how))["code"] == "StillInProgress"
    assert len(requested(graphql)) == 2, "another user's key is another key"


def test_without_a_key_every_request_is_a_new_one(graphql):
    ask(graphql)
    ask(graphql)
    assert len({event["eventId"] for event in requested(graphql)}) == 2


def test_mutations_of_one_document_do_not_share_its_key(graphql):
    each = 'createTask(agentId: "a1", input: {description: "do"}) { id }'
    query = f"mutation {{ one: {each} two: {each} }}"
    ask(graphql, query, headers={"idempotency-key": "k"})
    ask(graphql, query, headers={"idempotency-key": "k"})
    assert len(requested(graphql)) in (1, 2)
    assert {event["agentId"] for event in requested(graphql)} == {"a1"}


OTHERS = [
    'updateAgent(id: "%s", input: {name: "new", configuration: {systemPrompt: null}}) { id }',
    'deleteAgent(id: "%s")',
    'createTask(agentId: "%s", input: {description: "do"}) { id }',
    'cancelTask(agentId: "%s", taskId: "t1") { id }',
]


@pytest.mark.parametrize("field", OTHERS)
def test_what_belongs_to_another_user_is_forbidden(graphql, field):
    assert refusal(ask(graphql, f"mutation {{ it: {field % 'b1'} }}"))["code"] == "Forbidden"
    assert refusal(ask(graphql, f"mutation {{ it: {field % 'a/b'} }}"))["code"] == "NotFound"
    assert requested(graphql) == []


@pytest.mark.parametrize("field", OTHERS)
def test_without_the_permission_nothing_is_asked_of_anybody(graphql, field):
    reader = user(permissions=(Permission("*", ("read",)),))
    answer = ask(graphql, f"mutation {{ it: {field % 'a1'} }}", by=reader)
    assert refusal(answer)["code"] == "Forbidden"
    assert requested(graphql) == []


def test_changes_deletion_and_tasks_are_answered_alike(graphql):
    agent = {"agent_id": "a1", "aggregate_id": "a1"}
    task = {"agent_id": "a1", "task_id": "t1", "aggregate_id": "t1"}
    named = {"name": "new", "configuration": agents.CONFIGURATION}
    steps = [
        (OTHERS[0], AgentUpdatedV1, agent | named, {"id": "a1"}),
        (OTHERS[2], TaskCreatedV1, task | {"description": "do"}, {"id": "t1"}),
        (OTHERS[3], TaskCancelledV1, task | {"aggregate_version": 3}, {"id": "t1"}),
        (OTHERS[1], AgentDeletedV1, agent, True),
    ]
    for number, (field, kind, fields, expected) in enumerate(steps):
        query = f"mutation {{ it: {field % 'a1'} }}"
        how = {"headers": {"idempotency-key": f"k{number}"}}
        assert refusal(ask(graphql, query, **how))["code"] == "StillInProgress"
        event = next(e for e in requested(graphql) if e["eventId"] not in _known(graphql))
        assert graphql.consume(caused(event, kind, **fields)) == []
        assert ask(graphql, query, **how) == {"data": {"it": expected}}
    assert json.dumps(ask(graphql, '{ agent(id: "a1") { id } }')) == '{"data": {"agent": null}}'


def _known(graphql):
    """The requests whose outcome is known."""
    outcomes = [row for row in graphql.rows() if row["SK"] == "OUTCOME"]
    return {row["PK"].removeprefix("REQUEST#") for row in outcomes}


def test_an_update_keeps_what_it_leaves_out_and_clears_what_is_null(graphql):
    ask(graphql, f"mutation {{ it: {OTHERS[0] % 'a1'} }}")
    (event,) = requested(graphql)
    assert event["input"] == {"name": "new", "configuration": {"systemPrompt": None}}


def test_too_large_an_input_is_refused_here(graphql):
    large = CONFIGURATION | {"systemPrompt": "x" * 160_000}
    assert refusal(ask(graphql, input=large))["code"] == "TooLarge"
    assert requested(graphql) == []
