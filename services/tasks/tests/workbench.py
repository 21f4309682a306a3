"""Agents at work in process: the real runtime and SDKs, the model simulator, and tools that are
functions of the test."""

import io
import json
import uuid
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError
from chalicelib.tasks.runtime import Runtime
from common.service import redis_client

from infra.tests.simulator_client import Simulator
from tests import agents
from tests.service import Service, user

ADA = user("ada")
SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer", "minimum": 0}},
    "required": ["n"],
    "additionalProperties": False,
}
Behaviour = Callable[[dict[str, Any]], Any]


def tool(name: str, **fields: Any) -> dict[str, Any]:
    handler = f"agentic-tool-{name}"
    about = {"name": name, "description": f"Does {name}", "parameters": SCHEMA, "handler": handler}
    return about | fields


class FunctionFailed(Exception):
    """The tool's function raised."""


class NotThere(Exception):
    """There is no such function."""


class NoAnswer(Exception):
    """The function was called and never answered."""


class Toolbox:
    """Lambda as the runtime sees it: remembers every call that reached a function."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.behaviour: Behaviour = lambda request: {"doubled": 2 * request["parameters"]["n"]}

    def invoke(self, FunctionName: str, Payload: bytes) -> dict[str, Any]:
        request = json.loads(Payload) | {"function": FunctionName}
        try:
            answer = self._answer(request)
        except FunctionFailed as error:
            return {"FunctionError": "Unhandled", "Payload": io.BytesIO(str(error).encode())}
        return {"Payload": io.BytesIO(answer)}

    def _answer(self, request: dict[str, Any]) -> bytes:
        try:
            answer = self.behaviour(request)
        except NotThere as error:
            code = {"Error": {"Code": "ResourceNotFoundException", "Message": "arn:aws:secret"}}
            raise ClientError(code, "Invoke") from error  # type: ignore[arg-type]
        except FunctionFailed:
            self.calls.append(request)
            raise
        except NoAnswer as error:
            self.calls.append(request)
            raise ReadTimeoutError(endpoint_url="https://internal") from error
        self.calls.append(request)
        return answer if isinstance(answer, bytes) else json.dumps(answer).encode()


class Workbench:
    """One agent of Ada's with a simulated model of its own, and one task of hers."""

    def __init__(
        self,
        tasks: Service,
        simulator: Simulator,
        *replies: Any,
        toolbox: Toolbox | None = None,
        repeat_last: bool = False,
        **configuration: Any,
    ) -> None:
        self.tasks, self.simulator = tasks, simulator
        self.toolbox = toolbox or Toolbox()
        self.model = f"bench-{uuid.uuid4()}"
        self.agent_id = str(uuid.uuid4())
        self.configuration = {"model": self.model, **configuration}
        simulator.script(self.model, *replies, repeat_last=repeat_last)
        store = tasks.module.store()  # type: ignore[attr-defined]
        runtime = Runtime(self.toolbox, store, redis_client())  # type: ignore[arg-type]
        tasks.module.runtime = lambda: runtime  # type: ignore[attr-defined]
        assert tasks.consume(agents.created(self.agent_id, **self.configuration)) == []
        self.task_id = self.new_task()

    def new_task(self, description: str = "Go") -> str:
        path = f"/agents/{self.agent_id}/tasks"
        answer = self.tasks.request("POST", path, {"description": description}, by=ADA)
        assert answer.status == 201, answer
        return str(answer.body["id"])

    def reconfigure(self, **configuration: Any) -> None:
        changed = agents.updated(self.agent_id, 2, **(self.configuration | configuration))
        assert self.tasks.consume(changed) == []

    @property
    def path(self) -> str:
        return f"/agents/{self.agent_id}/tasks/{self.task_id}"

    def get(self, part: str = "") -> dict[str, Any]:
        answer = self.tasks.request("GET", f"{self.path}{part}", by=ADA)
        assert answer.status == 200, answer
        return dict(answer.body)

    def post(self, part: str, body: object = None) -> Any:
        return self.tasks.request("POST", f"{self.path}{part}", body, by=ADA)

    def state(self, name: str, **fields: Any) -> dict[str, Any]:
        attempt = self.get()["attempt"]
        asked = {"taskId": self.task_id, "attempt": attempt, **fields}
        return dict(self.tasks.call(name, asked))

    def plan(self) -> list[int]:
        self.state("initialize_task")
        return [index for group in self.state("plan_task")["steps"] for index in group]

    def step(self, index: int = 0) -> str:
        return str(self.state("execute_step", steps=[index])["outcome"])

    def run(self) -> dict[str, Any]:
        """As the machine does, to the end of the attempt or to the first approval."""
        for index in self.plan():
            outcome = self.step(index)
            while outcome == "continue":
                outcome = self.step(index)
            if outcome == "waiting":
                return self.get()
        if self.state("complete_task")["outcome"] == "failed":
            self.state("handle_error")
        return self.get()

    def approvals(self) -> list[dict[str, Any]]:
        answer = self.tasks.request("GET", "/approvals", by=ADA)
        return [each for each in answer.body["items"] if each["taskId"] == self.task_id]

    def decide(self, decision: str, comment: str | None = None) -> Any:
        (pending,) = [each for each in self.approvals() if each["status"] == "pending"]
        body = {"decision": decision, "comment": comment}
        return self.tasks.request("POST", f"/approvals/{pending['id']}", body, by=ADA)

    def asked(self) -> list[dict[str, Any]]:
        """The requests that reached the provider."""
        return self.simulator.seen(self.model)

    def invocations(self) -> list[dict[str, Any]]:
        steps = self.get("/trace")["steps"]
        return [call for step in steps for call in step["toolInvocations"]]

    def announced(self, *names: str) -> list[dict[str, Any]]:
        found = [e["detail"] for e in self.tasks.outbox() if e["detail-type"] in names]
        return [each for each in found if each.get("taskId") == self.task_id]


def planned(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"plan": {"steps": list(steps)}}


def thinks(**fields: Any) -> dict[str, Any]:
    return {"type": "reasoning", "description": "Think", **fields}


def uses(name: str, **fields: Any) -> dict[str, Any]:
    return {"type": "tool_call", "description": "Use it", "tool": name, **fields}


def calls(*uses: tuple[str, Any]) -> dict[str, Any]:
    """The model asks for these tools, with these arguments."""
    return {"toolCalls": [{"name": name, "arguments": arguments} for name, arguments in uses]}
