"""A hundred collaborations of every shape, carried out once for all tests of a run.

Whichever process asks first begins them; the others ask with the same Idempotency-Keys and so get
the same ones.
"""

import json
import os
import uuid
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Any, NamedTuple

from tests.platform import Api, Platform

CASES = 100
AT_ONCE = 8
RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID", uuid.uuid4().hex)
Json = dict[str, Any]


class Scenario(NamedTuple):
    """A pattern, and for each participant whether its provider refuses to work."""

    pattern: str
    refused: tuple[bool, ...]

    @property
    def statuses(self) -> list[str]:
        return ["failed" if refused else "completed" for refused in self.refused]

    @property
    def ending(self) -> str:
        return "failed" if all(self.refused) else "completed"

    @property
    def handoffs(self) -> int:
        return len(self.refused) - 1 if self.pattern == "sequential" else 0


SCENARIOS = [
    Scenario(pattern, refused)
    for size in (2, 3)
    for refused in product((False, True), repeat=size)
    for pattern in ("parallel", "sequential")
    if size == 2 or sum(refused) < 2
]


class Outcome(NamedTuple):
    """What became of a scenario; `executions` are those of the tasks, as Step Functions knows
    them, in the participants' order."""

    scenario: Scenario
    collaboration: Json
    execution: Json
    executions: list[Json]

    @property
    def participants(self) -> list[Json]:
        return list(self.collaboration["participants"])


class Team(NamedTuple):
    """Agents of one user: three that each have one answer to everything, and one that can't."""

    platform: Platform
    api: Api
    able: list[str]
    unable: str

    @classmethod
    def of(cls, platform: Platform, api: Api) -> "Team":
        def agent(name: str, reply: Json) -> str:
            model = f"{RUN}-{name}"
            platform.script(model, reply, repeat_last=True)
            configuration = {"llmProvider": "openai", "model": model, "tools": []}
            body = {"name": name, "configuration": configuration}
            return str(api.created_agent(body, headers=_once(name))["id"])

        refusal = {"status": 400, "message": "refused", "errorType": "invalid_request"}
        able = [agent(answer, _answering(answer)) for answer in ANSWERS]
        return cls(platform, api, able, agent("refusing", refusal))

    def outcomes(self) -> list[Outcome]:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(self._run, range(CASES)))

    def _run(self, number: int) -> Outcome:
        scenario = SCENARIOS[number % len(SCENARIOS)]
        seats = zip(scenario.refused, self.able, strict=False)
        agents = [self.unable if refused else able for refused, able in seats]
        body = {
            "pattern": scenario.pattern,
            "participants": [
                {"agentId": agent, "description": part(number, index)}
                for index, agent in enumerate(agents)
            ],
        }
        begun = self.api.created("/collaborations", body, headers=_once(f"case-{number}"))
        ended = self.api.collaborated(begun)
        tasks = [participant["taskId"] for participant in ended["participants"]]
        return Outcome(
            scenario,
            ended,
            execution(self.platform, "MultiAgent", ended["id"]),
            [execution(self.platform, "TaskExecution", f"{task}-1") for task in tasks],
        )


ANSWERS = ("one", "two", "three")


def part(number: int, index: int) -> str:
    return f"Part {index} of case {number} of {RUN}"


def execution(platform: Platform, machine: str, name: str) -> Json:
    found = platform.execution(name, machine)
    return found | {"input": json.loads(found["input"])}


def _once(name: str) -> dict[str, str]:
    return {"Idempotency-Key": f"{RUN}-{name}"}


def _answering(text: str) -> Json:
    step = {"type": "response", "description": "answer", "answer": f"The answer of {text}"}
    return {"plan": {"steps": [step]}}
