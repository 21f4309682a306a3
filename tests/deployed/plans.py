"""Generated plans, and the model's script that makes a task follow one."""

import uuid
from typing import Any, NamedTuple

from hypothesis import strategies as st

from tests.platform import CALCULATOR, Api, Platform

words = st.text("abcdefghijklmnop ÄÖÜ漢字🙂'\"\\", min_size=1, max_size=30).filter(str.strip)

reasoning = st.builds(lambda text: {"type": "reasoning", "description": text}, words)
tool_call = st.builds(
    lambda text, a, b: {
        "type": "tool_call",
        "description": text,
        "tool": "calculator",
        "parameters": {"expression": f"{a} + {b}"},
    },
    words,
    st.integers(0, 10**6),
    st.integers(0, 10**6),
)


class Scenario(NamedTuple):
    """A plan without its final response, and the step at which the provider refuses, if any."""

    steps: list[dict[str, Any]]
    fails_at: int | None


@st.composite
def scenarios(draw: st.DrawFn, may_fail: bool) -> Scenario:
    steps = draw(st.lists(st.one_of(reasoning, tool_call), max_size=3))
    asks = [index for index in range(len(steps) + 1) if not _is_tool(steps, index)]
    fails_at = draw(st.none() | st.sampled_from(asks)) if may_fail else None
    return Scenario(steps, fails_at)


def run(platform: Platform, api: Api, scenario: Scenario, description: str) -> dict[str, Any]:
    """A task of its own agent that was planned as the scenario says; it may still be running."""
    model = f"scripted-{uuid.uuid4()}"
    steps = [*scenario.steps, {"type": "response", "description": "answer"}]
    replies: list[dict[str, Any]] = [{"plan": {"steps": steps}}]
    for index in range(len(steps)):
        if index == scenario.fails_at:
            replies.append({"status": 400, "message": "refused", "errorType": "invalid_request"})
        elif not _is_tool(scenario.steps, index):
            replies.append({"text": f"output of step {index}"})
    platform.script(model, *replies)
    agent = api.agent(CALCULATOR, model=model)
    return api.task(agent["id"], description) | {"model": model}


def _is_tool(steps: list[dict[str, Any]], index: int) -> bool:
    return index < len(steps) and steps[index]["type"] == "tool_call"


def asks_first() -> dict[str, Any]:
    """A step that a person must agree to."""
    return {
        "type": "tool_call",
        "description": "Add, if I may",
        "tool": CALCULATOR["name"],
        "parameters": {"expression": "1 + 1"},
        "needsApproval": True,
    }


def pending(api: Api, task: dict[str, Any]) -> dict[str, Any] | None:
    """The approval that the task waits for."""
    items = api.get("/approvals", params={"limit": 20}).json()["items"]
    found = (i for i in items if (i["taskId"], i["status"]) == (task["id"], "pending"))
    return next(found, None)
