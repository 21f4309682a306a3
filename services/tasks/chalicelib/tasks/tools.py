"""An agent's tools: Lambda functions, called with validated parameters and a stable key.

Every call goes on record before and after it happens. One that is on record as ended is not made
again; one that began and may have happened is repeated only if the tool says that it may be.
"""

import json
import logging
import time
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from chalicelib.tasks.invocations import NoAnswer, NotCalled, invoke
from chalicelib.tasks.models import AgentSnapshot
from chalicelib.tasks.models.failures import AgentFailed, Refused
from chalicelib.tasks.models.journal import CallStatus, Place, ToolCall
from chalicelib.tasks.prompts import cut
from chalicelib.tasks.repository import Journal
from common import metrics, tracing
from common.clock import timestamp
from common.errors import Invalid
from common.strict_json import parse
from common.tool_schemas import UnusableSchema, problems
from strands.hooks import BeforeToolCallEvent, HookProvider, HookRegistry
from strands.types._events import ToolResultEvent
from strands.types.tools import AgentTool, ToolResult, ToolSpec, ToolUse

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

HANDLER_PREFIX = "agentic-tool-"
MAX_CALLS = 50
"""In one step: whoever asks for more is in a loop."""
log = logging.getLogger(__name__)


class ToolFailed(Exception):
    """Said to the model: nothing in it may tell of the infrastructure."""


class Context(NamedTuple):
    """For whom a tool is called; it is told so."""

    user_id: str
    agent_id: str
    task_id: str

    def wire(self) -> dict[str, str]:
        return {"taskId": self.task_id, "agentId": self.agent_id, "userId": self.user_id}


class Admission(Protocol):
    """Whether a call may be made. Raises Refused, which the model is told, or what stops the step:
    ApprovalNeeded, AgentFailed."""

    def __call__(self, place: Place, tool: str, parameters: dict[str, Any]) -> None: ...


class Tools(HookProvider):
    """The tools of one step."""

    def __init__(
        self,
        client: "LambdaClient",
        agent: AgentSnapshot,
        journal: Journal,
        context: Context,
        admit: Admission,
    ) -> None:
        self._client = client
        self._definitions = agent.tools
        self._journal = journal
        self._context = context
        self._admit = admit
        self._answers: dict[str, ToolResult] = {}

    def has(self, name: str) -> bool:
        return name in self._definitions

    def problems(self, name: str, parameters: object) -> list[str]:
        """What the tool's schema has against these parameters. Raises ToolFailed."""
        try:
            return problems(self._definitions[name]["parameters"], parameters)
        except UnusableSchema as error:
            raise ToolFailed(f"The tool {name} has an unusable schema") from error

    def for_model(self, first: str | None = None) -> list[AgentTool]:
        """All of them, in the form in which strands offers them."""
        names = sorted(self._definitions, key=lambda name: name != first)
        return [_ModelTool(self, self._definitions[name]) for name in names]

    def register_hooks(self, registry: HookRegistry, **_: Any) -> None:
        registry.add_callback(BeforeToolCallEvent, self._before_tool)

    def _before_tool(self, event: BeforeToolCallEvent) -> None:
        """The call is made here, because strands turns whatever a tool raises into words for the
        model, also what is to stop the step."""
        use = event.tool_use
        if self.has(use["name"]):
            self._answers[use["toolUseId"]] = self._answer(use)

    def _answer(self, use: ToolUse) -> ToolResult:
        try:
            status, text = "success", cut(self.call(use["name"], use["input"], use["toolUseId"]))
        except ToolFailed as failure:
            status, text = "error", str(failure)
        return {"toolUseId": use["toolUseId"], "status": status, "content": [{"text": text}]}  # type: ignore[typeddict-item]

    def answer(self, use_id: str) -> ToolResult:
        return self._answers.pop(use_id)

    def call(self, name: str, parameters: Any, use: str) -> str:
        """The JSON that the tool returned. Raises ToolFailed; and what stops the step: AgentFailed
        if nobody knows whether the tool did its work, what the admission raises."""
        place = self._journal.place(use)
        known = self._journal.calls.get(place.key)
        if known and known.status != CallStatus.STARTED:
            return _told(known)
        if known and self._is_unsafe(name):
            raise _outcome_unknown(name)
        if len(self._journal.calls) >= MAX_CALLS:
            raise AgentFailed("BUDGET_EXCEEDED", f"The step made {MAX_CALLS} calls of tools")
        call = known or self._new_call(place, name, parameters)
        started = time.monotonic()
        try:
            self._check(place, name, parameters)
            self._journal.begin(call)
            with tracing.span(f"execute_tool {name}", attributes=_told_of(name, place)):
                output = self._invoke(self._definitions[name], parameters, place.key)
        except ToolFailed as failure:
            return _told(self._ended(call, CallStatus.FAILED, str(failure), started))
        return _told(self._ended(call, CallStatus.SUCCEEDED, output, started))

    def _new_call(self, place: Place, name: str, parameters: object) -> ToolCall:
        return ToolCall(
            key=place.key,
            step=self._journal.scope,
            tool=name,
            parameters=parameters if isinstance(parameters, dict) else {},
            started_at=timestamp(),
        )

    def _check(self, place: Place, name: str, parameters: dict[str, Any]) -> None:
        found = self.problems(name, parameters)
        if found:
            raise ToolFailed("Invalid parameters: " + "; ".join(found))
        try:
            self._admit(place, name, parameters)
        except Refused as refusal:
            raise ToolFailed(str(refusal)) from refusal

    def _ended(self, call: ToolCall, status: CallStatus, output: str, started: float) -> ToolCall:
        """How long it took is known in this process only: after a crash, from its last attempt."""
        if status == CallStatus.FAILED:
            metrics.count("ToolFailures", tool=call.tool)
        ended = call.model_copy(
            update={
                "status": status,
                "output": output,
                "completed_at": timestamp(),
                "duration_ms": round((time.monotonic() - started) * 1000),
            }
        )
        self._journal.end(ended)
        return ended

    def _is_unsafe(self, name: str) -> bool:
        definition = self._definitions.get(name, {})
        return definition.get("sideEffects") == "unsafe"

    def _invoke(self, definition: dict[str, Any], parameters: dict[str, Any], key: str) -> str:
        handler: str = definition["handler"]
        if not handler.startswith(HANDLER_PREFIX):
            raise ToolFailed("The tool is not available")
        request = {
            "tool": definition["name"],
            "parameters": parameters,
            "idempotencyKey": key,
            "context": self._context.wire(),
            "traceparent": tracing.traceparent(),
        }
        about = {"handler": handler, "idempotencyKey": key}
        is_unsafe = self._is_unsafe(definition["name"])
        try:
            answer = invoke(self._client, handler, request, repeatable=not is_unsafe)
        except NotCalled as error:
            log.warning("tool unavailable", extra=about, exc_info=True)
            raise ToolFailed("The tool is not available") from error
        except NoAnswer as error:
            log.warning("tool did not answer", extra=about, exc_info=True)
            if is_unsafe:
                raise _outcome_unknown(definition["name"]) from error
            raise ToolFailed("The tool did not answer in time") from error
        if answer.is_error:
            said = answer.payload.decode(errors="replace")[:2000]
            log.warning("tool failed", extra=about | {"answer": said})
            raise ToolFailed("The tool failed")
        log.info("tool called", extra=about)
        return _json(answer.payload)


def _told_of(name: str, place: Place) -> dict[str, tracing.Value]:
    return {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": name,
        "gen_ai.tool.call.id": place.key,
    }


def _outcome_unknown(name: str) -> AgentFailed:
    return AgentFailed(
        "TOOL_OUTCOME_UNKNOWN",
        f"Nobody knows whether a call of {name} did its work: settle it, then retry the task",
    )


def _json(payload: bytes) -> str:
    try:
        return json.dumps(parse(payload or b"null"))
    except Invalid as error:
        raise ToolFailed("The tool answered with something that is not JSON") from error


def _told(call: ToolCall) -> str:
    if call.status == CallStatus.FAILED:
        raise ToolFailed(call.output or "The tool failed")
    return call.output or "null"


class _ModelTool(AgentTool):
    """The form in which strands offers a tool to the model."""

    def __init__(self, tools: Tools, definition: dict[str, Any]) -> None:
        super().__init__()
        self._tools = tools
        self._definition = definition

    @property
    def tool_name(self) -> str:
        return str(self._definition["name"])

    @property
    def tool_type(self) -> str:
        return "lambda"

    @property
    def tool_spec(self) -> ToolSpec:
        return ToolSpec(
            name=self.tool_name,
            description=self._definition["description"],
            inputSchema={"json": self._definition["parameters"]},
        )

    async def stream(
        self, tool_use: ToolUse, invocation_state: dict[str, Any], **kwargs: Any
    ) -> AsyncGenerator[Any, None]:
        yield ToolResultEvent(self._tools.answer(tool_use["toolUseId"]))
