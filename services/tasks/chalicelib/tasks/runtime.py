"""The agent at work: a plan by structured output, and each step as one bounded agent call."""

import json
import logging
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from chalicelib.tasks import prompts, providers
from chalicelib.tasks.metering import TokenMeter
from chalicelib.tasks.models import AgentSnapshot, PlannedStep, Task, TaskFile, TaskPlan
from chalicelib.tasks.repository import TaskRepository
from chalicelib.tasks.tools import StepTools, ToolFailed
from chalicelib.tasks.use_cases.execution import AgentFailed
from strands import Agent
from strands.agent.conversation_manager import NullConversationManager
from strands.tools.executors import SequentialToolExecutor
from strands.types.exceptions import (
    EventLoopException,
    MaxTokensReachedException,
    StructuredOutputException,
)
from strands.types.tools import AgentTool

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

MAX_TURNS = 10
PLAN_TURNS = 4
log = logging.getLogger(__name__)


class AnswerUnusable(AgentFailed):
    """The provider answered, but with something that nobody can work with."""


class Runtime:
    def __init__(self, client: "LambdaClient", tasks: TaskRepository) -> None:
        self._client = client
        self._tasks = tasks

    def plan(self, agent: AgentSnapshot, task: Task) -> TaskPlan:
        """An unusable plan becomes a single response. Raises AgentFailed if the model is out of
        reach."""
        prompt = prompts.planning(task, agent.configuration["tools"])
        try:
            answer = self._ask(agent, task, prompt, PLAN_TURNS, structured_output_model=TaskPlan)
        except (StructuredOutputException, AnswerUnusable):
            log.warning("unusable plan", extra={"taskId": task.id})
            return TaskPlan.to_answer_at_once()
        plan = answer.structured_output
        return plan if isinstance(plan, TaskPlan) else TaskPlan.to_answer_at_once()

    def run_step(self, agent: AgentSnapshot, file: TaskFile, index: int) -> str:
        """The step's output. Raises AgentFailed."""
        assert file.plan is not None
        step = file.plan.steps[index]
        if step.type == "response" and step.answer and len(file.plan.steps) == 1:
            return step.answer
        tools = StepTools(self._client, file, index, agent.configuration["tools"])
        if step.type == "tool_call":
            return self._use_tool(agent, file, index, step, tools)
        return self._text(agent, file, index)

    def _use_tool(
        self, agent: AgentSnapshot, file: TaskFile, index: int, step: PlannedStep, tools: StepTools
    ) -> str:
        """Calls the tool at once if the plan gave sound parameters; else the model finds them."""
        name = step.tool or ""
        if not tools.has(name):
            return json.dumps({"error": f"There is no tool {name}"})
        if step.parameters is None or tools.problems(name, step.parameters):
            return self._text(agent, file, index, [tools.for_model(name)])
        try:
            return json.dumps(tools.call(name, step.parameters, "planned"))
        except ToolFailed as failure:
            return json.dumps({"error": str(failure)})

    def _text(
        self, agent: AgentSnapshot, file: TaskFile, index: int, tools: Sequence[AgentTool] = ()
    ) -> str:
        prompt = prompts.step(file, index)
        return str(self._ask(agent, file.task, prompt, MAX_TURNS, tools)).strip()

    def _ask(
        self,
        agent: AgentSnapshot,
        task: Task,
        prompt: str,
        turns: int,
        tools: Sequence[AgentTool] = (),
        **options: Any,
    ) -> Any:
        worker = Agent(
            model=providers.model(agent.configuration),
            system_prompt=agent.configuration.get("systemPrompt"),
            tools=list(tools),
            tool_executor=SequentialToolExecutor(),
            retry_strategy=providers.ModelRetries(),
            hooks=[TokenMeter(self._tasks, task)],
            conversation_manager=NullConversationManager(),
            callback_handler=None,
        )
        call = worker.invoke_async(prompt, limits={"turns": turns}, **options)
        try:
            answer = providers.loop().run_until_complete(call)
        except Exception as error:
            origin = _origin(error)
            if isinstance(origin, _TOLD_AS_THEY_ARE):
                raise origin from None
            log.exception("model call failed", extra={"agentId": agent.id})
            raise _failure(origin) from error
        if answer.stop_reason.startswith("limit_"):
            raise AgentFailed("BUDGET_EXCEEDED", f"The model did not finish within {turns} turns")
        return answer


# The last two are of the table that counts tokens: no failure of the agent's.
_TOLD_AS_THEY_ARE = (StructuredOutputException, AgentFailed, ClientError, BotoCoreError)


def _origin(error: Exception) -> Exception:
    """strands wraps what goes wrong after an agent's first turn."""
    while isinstance(error, EventLoopException):
        error = error.original_exception
    return error


def _failure(error: Exception) -> AgentFailed:
    """What may be told of it: strands and the SDKs put addresses and bodies in their messages."""
    status = getattr(error, "status_code", None)
    if isinstance(error, MaxTokensReachedException):
        return AgentFailed("BUDGET_EXCEEDED", "The model's answer is longer than maxTokens")
    if status in (401, 403):
        return AgentFailed("LLM_AUTH", "The model provider refused the platform's credentials")
    if isinstance(status, int) and 400 <= status < 500 and status != 429:
        return AgentFailed("LLM_REFUSED", "The model provider refused the request")
    if providers.is_retryable(error):
        return AgentFailed("LLM_UNAVAILABLE", "The model provider could not be reached")
    return AnswerUnusable("LLM_UNUSABLE", "The model's answer could not be used")


def preload() -> None:
    """Imports at start-up what the first task would otherwise wait for."""
    for provider in filter(None, os.environ.get("PRELOAD_PROVIDERS", "").split(",")):
        providers.preload(provider)
