"""The properties of agents that work together, on the deployed state machines."""

import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st

from tests.deployed.collaborations import ANSWERS, CASES, RUN, Outcome, Scenario, Team, part
from tests.platform import Api, Platform, eventually

pytestmark = pytest.mark.deployed

ENDS = ("CollaborationCompleted", "CollaborationFailed", "CollaborationCancelled")
numbers = st.integers(0, CASES - 1)
"""Of the cases: a hundred examples are all of them."""


@pytest.fixture(scope="module")
def api(platform: Platform) -> Iterator[Api]:
    with platform.api(1) as api:
        yield api


@pytest.fixture(scope="module")
def outcomes(platform: Platform, api: Api) -> list[Outcome]:
    return Team.of(platform, api).outcomes()


Told = dict[str, dict[str, list[dict[str, Any]]]]


@pytest.fixture(scope="module")
def told(api: Api, outcomes: list[Outcome]) -> Told:
    """By collaboration and type: the events, as the journal heard of them over the bus."""
    wanted = {outcome.collaboration["id"] for outcome in outcomes}

    def heard() -> Told | None:
        found: Told = {each: {} for each in wanted}
        for entry in journal(api):
            known = found.get(entry["detail"].get("collaborationId"))
            if known is not None:
                known.setdefault(entry["type"], []).append(entry["detail"])
        whole = all(_is_whole(found[each.collaboration["id"]], each.scenario) for each in outcomes)
        return found if whole else None

    told = eventually(heard, every=1)
    assert told, "not all that happened was announced"
    return told


def _is_whole(told: dict[str, list[dict[str, Any]]], scenario: Scenario) -> bool:
    """Events overtake each other: the end is not always the last that is heard of."""
    progress = len(told.get("CollaborationProgress", [])) >= 2 * len(scenario.statuses)
    handoffs = len(told.get("AgentMessageSent", [])) >= scenario.handoffs
    return bool(set(ENDS) & set(told)) and progress and handoffs


def journal(api: Api) -> Iterator[dict[str, Any]]:
    params: dict[str, Any] = {"limit": 100}
    while True:
        page = api.get("/events", params=params).raise_for_status().json()
        yield from page["items"]
        if not page["nextToken"]:
            return
        params["nextToken"] = page["nextToken"]


@given(number=numbers)
def test_property_28_multi_agent_coordination(outcomes: list[Outcome], number: int) -> None:
    """Feature: realtime-agentic-api, Property 28: Multi-agent coordination"""
    scenario, collaboration, parent, children = outcomes[number]
    assert collaboration["status"] == scenario.ending
    assert parent["input"] == {"collaborationId": collaboration["id"]}
    assert len(children) == len(scenario.refused)
    for child in children:
        started_by = child["input"]["AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID"]
        assert started_by == parent["executionArn"]
    if scenario.pattern == "sequential":
        for earlier, later in pairwise(children):
            assert earlier["stopDate"] <= later["startDate"]
    note(f"{scenario.pattern}, {len(children)} agents, {scenario.ending}")


@given(number=numbers)
def test_property_31_collaboration_state_management(
    outcomes: list[Outcome], told: Told, number: int
) -> None:
    """Feature: realtime-agentic-api, Property 31: Collaboration state management"""
    scenario, collaboration, parent, children = outcomes[number]
    events = told[collaboration["id"]]
    assert parent["status"] == {"completed": "SUCCEEDED", "failed": "FAILED"}[scenario.ending]
    assert {child["status"] for child in children} <= {"SUCCEEDED", "FAILED"}
    assert len(events["CollaborationStarted"]) == 1
    assert sum(len(events.get(name, [])) for name in ENDS) == 1
    for index, status in enumerate(scenario.statuses):
        own = [e for e in events["CollaborationProgress"] if e["participant"] == index + 1]
        steps = sorted(own, key=lambda event: int(event["aggregateVersion"]))
        assert [event["status"] for event in steps] == ["running", status]
    handoffs = events.get("AgentMessageSent", [])
    following = [each["taskId"] for each in collaboration["participants"][1:]]
    assert sorted(each["taskId"] for each in handoffs) == following[: scenario.handoffs]
    note(f"{scenario.handoffs} handoffs")


@given(number=numbers)
def test_property_32_result_aggregation(outcomes: list[Outcome], told: Told, number: int) -> None:
    """Feature: realtime-agentic-api, Property 32: Result aggregation"""
    outcome = outcomes[number]
    scenario, participants = outcome.scenario, outcome.participants
    expected = [
        None if refused else f"The answer of {answer}"
        for refused, answer in zip(scenario.refused, ANSWERS, strict=False)
    ]
    assert [each["status"] for each in participants] == scenario.statuses
    assert [each["result"] for each in participants] == expected
    reasons = [(each["error"] or {}).get("code") for each in participants]
    assert reasons == ["LLM_REFUSED" if refused else None for refused in scenario.refused]
    if scenario.ending == "completed":
        (ended,) = told[outcome.collaboration["id"]]["CollaborationCompleted"]
        assert ended["agentIds"] == [each["agentId"] for each in participants]
        assert ended["statuses"] == scenario.statuses
        assert ended["results"] == [text or "" for text in expected]
    note(f"{sum(scenario.refused)} of {len(participants)} failed")


@given(number=numbers)
def test_property_49_agent_handoff_coordination(
    outcomes: list[Outcome], prompts: dict[str, list[str]], number: int
) -> None:
    """Feature: realtime-agentic-api, Property 49: Agent handoff coordination"""
    outcome = outcomes[number]
    for index, participant in enumerate(outcome.participants):
        told = prompts[part(number, index)]
        before = outcome.participants[index - 1]
        expected = _handed_over(before) if index and outcome.scenario.handoffs else ""
        assert told == [expected], participant
    note(f"{outcome.scenario.handoffs} handoffs")


@pytest.fixture(scope="module")
def prompts(platform: Platform, outcomes: list[Outcome]) -> dict[str, list[str]]:
    """What the agents' models were told with each part of each case: once, as nothing failed."""
    assert outcomes
    found: dict[str, list[str]] = {}
    for name in (*ANSWERS, "refusing"):
        for request in platform.model_requests(f"{RUN}-{name}"):
            content = request["body"]["messages"][-1]["content"]
            text = content if isinstance(content, str) else str(content[0]["text"])
            task = text.partition("<task>")[2].partition("</task>")[0]
            messages = text.partition("<messages>")[2].partition("</messages>")[0]
            found.setdefault(task, []).append(messages)
    return found


def _handed_over(participant: dict[str, Any]) -> str:
    reason = (participant["error"] or {}).get("message")
    failure = f"I could not do my part ({participant['description']}): {reason}"
    return f"From agent {participant['agentId']}: {participant['result'] or failure}"


class Party(NamedTuple):
    """Agents whose models answer only when all of them are asked at the same time."""

    platform: Platform
    api: Api
    agents: list[dict[str, Any]]

    @classmethod
    def of(cls, platform: Platform, api: Api, size: int) -> "Party":
        return cls(platform, api, [api.agent(model=f"meeting-{uuid.uuid4()}") for _ in range(size)])

    def meet(self, numbers: Sequence[int]) -> dict[int, list[str]]:
        """By number, what each of them answered."""
        return {number: self._answers(f"We met: {number}") for number in numbers}

    def _answers(self, agreed: str) -> list[str]:
        meeting = [str(uuid.uuid4()), len(self.agents)]
        step = {"type": "response", "description": "answer", "answer": agreed}
        for agent in self.agents:
            reply = {"plan": {"steps": [step]}, "meeting": meeting}
            self.platform.script(agent["configuration"]["model"], reply)
        parts = [{"agentId": agent["id"], "description": "Meet"} for agent in self.agents]
        body = {"pattern": "parallel", "participants": parts}
        ended = self.api.collaborated(self.api.created("/collaborations", body))
        return [each["result"] for each in ended["participants"]]


@pytest.fixture(scope="module")
def meetings(platform: Platform, api: Api) -> list[list[str]]:
    """A laptop lets three tasks ask a model at the same time: three of one collaboration, or two
    of each of two."""
    three, *pairs = (Party.of(platform, api, size) for size in (3, 2, 2))
    found = three.meet(range(0, CASES, 10))
    others = [number for number in range(CASES) if number % 10]
    with ThreadPoolExecutor(len(pairs)) as pool:
        for some in pool.map(Party.meet, pairs, (others[::2], others[1::2])):
            found |= some
    return [found[number] for number in range(CASES)]


@given(number=numbers)
def test_property_45_parallel_branch_execution(meetings: list[list[str]], number: int) -> None:
    """Feature: realtime-agentic-api, Property 45: Parallel branch execution"""
    assert len(meetings[number]) == (2 if number % 10 else 3)
    assert set(meetings[number]) == {f"We met: {number}"}
    note(f"{len(meetings[number])} at the same time")


@given(
    ends=st.permutations(range(3)),
    content=st.text(min_size=1, max_size=50).filter(str.strip),
)
def test_property_30_message_routing(
    api: Api, peers: list[dict[str, Any]], ends: list[int], content: str
) -> None:
    """Feature: realtime-agentic-api, Property 30: Message routing"""
    sender, target, other = (peers[end]["id"] for end in ends)
    body = {"toAgentId": target, "content": content}
    sent = api.created(f"/agents/{sender}/inbox", body)
    assert eventually(lambda: sent in inbox(api, target))
    assert not [each for each in inbox(api, other) if each["id"] == sent["id"]]


def inbox(api: Api, agent_id: str) -> list[dict[str, Any]]:
    answer = api.get(f"/agents/{agent_id}/inbox", params={"limit": 10}).raise_for_status()
    return list(answer.json()["items"])


@pytest.fixture(scope="module")
def peers(api: Api) -> list[dict[str, Any]]:
    return [api.agent() for _ in range(3)]
