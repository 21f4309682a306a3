"""An agent's tools: Lambda functions, called with validated parameters and a stable key."""

import hashlib
import json
import logging
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any

import jsonschema
import referencing
from botocore.exceptions import BotoCoreError, ClientError
from chalicelib.tasks.models import TaskFile
from chalicelib.tasks.prompts import cut
from strands.types._events import ToolResultEvent
from strands.types.tools import AgentTool, ToolSpec, ToolUse

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

HANDLER_PREFIX = "agentic-tool-"
log = logging.getLogger(__name__)


class ToolFailed(Exception):
    """Said to the model: nothing in it may tell of the infrastructure."""


class StepTools:
    """The tools of one step. The key of a call depends on the task, the step and the use of the
    tool alone, so that a tool can recognise a call that is repeated after a crash."""

    def __init__(
        self,
        client: "LambdaClient",
        file: TaskFile,
        index: int,
        definitions: list[dict[str, Any]],
    ) -> None:
        self._client = client
        self._file = file
        self._index = index
        self._definitions = {definition["name"]: definition for definition in definitions}

    def call(self, name: str, parameters: dict[str, Any], use_id: str) -> Any:
        """Whatever JSON the tool returns. Raises ToolFailed."""
        definition = self._definitions[name]
        problems = self.problems(name, parameters)
        if problems:
            raise ToolFailed("Invalid parameters: " + "; ".join(problems))
        key = hashlib.sha256(f"{self._file.task.id}/{self._index}/{use_id}".encode()).hexdigest()
        return self._invoke(definition, parameters, key)

    def problems(self, name: str, parameters: dict[str, Any]) -> list[str]:
        """What the tool's schema has against these parameters; empty if nothing."""
        schema = self._definitions[name]["parameters"]
        # An empty registry: a schema that refers to an address must not make us fetch it.
        validator = jsonschema.Draft202012Validator(schema, registry=referencing.Registry())
        try:
            return [
                f"{error.json_path}: {error.message}" for error in validator.iter_errors(parameters)
            ]
        except (jsonschema.SchemaError, referencing.exceptions.Unresolvable) as error:
            raise ToolFailed(f"The tool {name} has an unusable schema") from error

    def has(self, name: str) -> bool:
        return name in self._definitions

    def for_model(self, name: str) -> AgentTool:
        return _ModelTool(self, self._definitions[name])

    def _invoke(self, definition: dict[str, Any], parameters: dict[str, Any], key: str) -> Any:
        handler: str = definition["handler"]
        if not handler.startswith(HANDLER_PREFIX):
            raise ToolFailed("The tool is not available")
        task = self._file.task
        request = {
            "tool": definition["name"],
            "parameters": parameters,
            "idempotencyKey": key,
            "context": {"taskId": task.id, "agentId": task.agent_id, "userId": task.user_id},
        }
        try:
            answer = self._client.invoke(FunctionName=handler, Payload=json.dumps(request).encode())
            payload = answer["Payload"].read()
        except (ClientError, BotoCoreError) as error:
            log.warning("tool unavailable", extra={"handler": handler}, exc_info=True)
            raise ToolFailed("The tool is not available") from error
        if "FunctionError" in answer:
            said = payload.decode(errors="replace")[:2000]
            log.warning("tool failed", extra={"handler": handler, "answer": said})
            raise ToolFailed("The tool failed")
        log.info("tool called", extra={"handler": handler, "idempotencyKey": key})
        return json.loads(payload)


class _ModelTool(AgentTool):
    """The form in which strands offers a tool to the model."""

    def __init__(self, tools: StepTools, definition: dict[str, Any]) -> None:
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
        status, text = "success", ""
        try:
            result = self._tools.call(self.tool_name, tool_use["input"], tool_use["toolUseId"])
            text = cut(json.dumps(result))
        except ToolFailed as failure:
            status, text = "error", str(failure)
        yield ToolResultEvent(
            {"toolUseId": tool_use["toolUseId"], "status": status, "content": [{"text": text}]}  # type: ignore[typeddict-item]
        )
