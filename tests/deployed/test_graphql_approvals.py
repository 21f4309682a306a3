"""Approvals and schedules over GraphQL, on the deployed platform."""

import uuid
from typing import Any

import pytest

from tests.platform import CALCULATOR, Api, Platform, eventually

pytestmark = [pytest.mark.deployed, pytest.mark.e2e]
CREATE = """mutation($input: CreateAgentInput!) { createAgent(input: $input) {
  id configuration { tools { sideEffects } approvalPolicy { tools expiresAfterSeconds } } } }"""
WAITING = """query($id: ID!) { approvals(agentId: $id, status: PENDING) { edges { node {
  id tool parameters task { id status approvals { id } } } } } }"""
DECIDE = """mutation($id: ID!) { %s(id: $id, comment: "so be it") { status comment decidedBy } }"""
PLAN = {
    "plan": {
        "steps": [
            {
                "type": "tool_call",
                "description": "calculate",
                "tool": "calculator",
                "parameters": {"expression": "6 * 7"},
            },
            {"type": "response", "description": "answer", "answer": "42"},
        ]
    }
}


def asked(api: Api, query: str, **variables: Any) -> dict[str, Any]:
    answer = api.post("/graphql", json={"query": query, "variables": variables})
    told: dict[str, Any] = answer.raise_for_status().json()
    return told


def shown(api: Api, query: str, **variables: Any) -> dict[str, Any]:
    told = asked(api, query, **variables)
    assert "errors" not in told, told
    return dict(told["data"])


def test_an_agent_asks_and_a_person_decides(platform: Platform) -> None:
    model = f"asks-{uuid.uuid4()}"
    platform.script(model, PLAN)
    configuration = {
        "llmProvider": "OPENAI",
        "model": model,
        "tools": [CALCULATOR | {"sideEffects": "NONE"}],
        "approvalPolicy": {"tools": ["calculator"], "expiresAfterSeconds": 600},
    }
    with platform.api() as api:
        wanted = {"name": "asks", "configuration": configuration}
        agent = shown(api, CREATE, input=wanted)["createAgent"]
        assert agent["configuration"] == {
            "tools": [{"sideEffects": "NONE"}],
            "approvalPolicy": {"tools": ["calculator"], "expiresAfterSeconds": 600},
        }
        task = api.task(agent["id"], "What is 6 * 7?")

        def pending() -> Any:
            return shown(api, WAITING, id=agent["id"])["approvals"]["edges"]

        (edge,) = eventually(pending)
        approval = edge["node"]
        assert (approval["tool"], approval["parameters"]) == ("calculator", {"expression": "6 * 7"})
        assert approval["task"]["id"] == task["id"]
        assert approval["task"]["approvals"] == [{"id": approval["id"]}]
        decided = shown(api, DECIDE % "approveApproval", id=approval["id"])["approveApproval"]
        assert (decided["status"], decided["comment"]) == ("APPROVED", "so be it")
        assert decided["decidedBy"] == platform.facts["users"][0]["userId"]
        assert pending() == []
        assert api.finished(task)["status"] == "completed"
        late = asked(api, DECIDE % "rejectApproval", id=approval["id"])
        assert late["errors"][0]["extensions"]["code"] == "ApprovalDecided"


def test_a_schedule_is_shown_as_it_was_made(platform: Platform) -> None:
    query = "query($id: ID!) { schedule(id: $id) { rate enabled onOverlap agent { id } } }"
    with platform.api() as api:
        agent = api.agent()["id"]
        wanted = {"agentId": agent, "description": "news", "rate": "7 days", "onOverlap": "queue"}
        made = api.created("/schedules", wanted)["id"]
        found = eventually(lambda: shown(api, query, id=made)["schedule"])
        expected = {"rate": "7 days", "enabled": True, "onOverlap": "QUEUE"}
        assert found == expected | {"agent": {"id": agent}}
        assert api.delete(f"/schedules/{made}").status_code == 204
        assert eventually(lambda: shown(api, query, id=made)["schedule"] is None)
