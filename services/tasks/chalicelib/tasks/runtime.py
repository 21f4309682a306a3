"""The agent at work: a plan by structured output, and each step as one bounded agent call.

Whatever is asked here can be asked again after a crash: answers of the model that are on record are
not asked for again, and tools that were called are not called again.
"""

import json
import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from botocore.exceptions import BotoCoreError, ClientError
from chalicelib.tasks import prompts, providers
from chalicelib.tasks.breaker import Breaker
from chalicelib.tasks.cached_model import CachedModel
from chalicelib.tasks.metering import TokenMeter
from chalicelib.tasks.models import AgentSnapshot, Decision, PlannedStep, Task, TaskFile, TaskPlan
from chalicelib.tasks.models.failures import AgentFailed, ApprovalNeeded, OutOfTime
from chalicelib.tasks.models.journal import Message, text_of
from chalicelib.tasks.recording import Recorder, asks_for_tools, replayed
from chalicelib.tasks.repository import Store
from chalicelib.tasks.resilience import Guard, Retries
from chalicelib.tasks.spans import ModelSpans
from chalicelib.tasks.tools import Admission, Context, ToolFailed, Tools
from chalicelib.tasks.work import Job
from common.cache import Cache
from common.errors import AppError
from common.optional_redis import OptionalRedis
from pydantic import BaseModel, Field, create_model
from strands import Agent
from strands.agent.conversation_manager import NullConversationManager
from strands.models import Model
from strands.tools.executors import SequentialToolExecutor
from strands.types.exceptions import (
    EventLoopException,
    MaxTokensReachedException,
    StructuredOutputException,
)

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

Form = TypeVar("Form", bound=BaseModel)
MAX_TURNS = 10
PLAN_TURNS = 4
log = logging.getLogger(__name__)
# What stops a step is no error, and what is one is logged here.
logging.getLogger("strands").setLevel(logging.CRITICAL)


class AnswerUnusable(AgentFailed):
    """The provider answered, but with something that nobody can work with."""


class Runtime:
    def __init__(self, client: "LambdaClient", store: Store, redis: OptionalRedis) -> None:
        self._client = client
        self._store = store
        self._redis = redis

    def plan(self, job: Job, task: Task) -> TaskPlan:
        """An unusable plan becomes a single response. Raises AgentFailed if the model is out of
        reach, and OutOfTime."""
        prompt = prompts.planning(task, list(job.agent.tools.values()))
        try:
            return self._structured(job, prompt, TaskPlan)
        except (StructuredOutputException, AnswerUnusable):
            log.warning("unusable plan", extra={"taskId": task.id})
            return TaskPlan.to_answer_at_once()

    def decide(self, job: Job, file: TaskFile, index: int) -> Decision:
        """What the model chooses at a decision step. Raises AgentFailed and OutOfTime."""
        step = _step(file, index)
        choice = _choice(step)
        try:
            chosen: Any = self._structured(job, prompts.step(file, index), choice)
        except StructuredOutputException as error:
            raise AgentFailed("DECISION_UNUSABLE", "The model chose none of the options") from error
        return Decision(option=chosen.option, rationale=chosen.rationale)

    def run_step(self, job: Job, file: TaskFile, index: int, admit: Admission) -> str:
        """The step's output. Raises AgentFailed, OutOfTime, and what `admit` raises."""
        if answer := file.agreed_plan.answer:
            return answer
        step = _step(file, index)
        context = Context(file.task.user_id, job.agent.id, file.task.id)
        tools = Tools(self._client, job.agent, job.journal, context, admit)
        if step.type == "tool_call":
            return self._use_tool(job, file, index, tools)
        offered = tools if step.type == "reasoning" else None
        return self.text(job, [_said(prompts.step(file, index))], offered)

    def answer(self, job: Job, messages: list[Message], message_id: str, admit: Admission) -> str:
        """What the agent says in a conversation, with whatever tools it has. Raises as `text`."""
        context = Context(job.account.user_id, job.agent.id, message_id)
        tools = Tools(self._client, job.agent, job.journal, context, admit)
        return self.text(job, messages, tools)

    def _use_tool(self, job: Job, file: TaskFile, index: int, tools: Tools) -> str:
        """Calls the tool at once if the plan gave sound parameters; else the model finds them."""
        step = _step(file, index)
        name = step.tool or ""
        if not tools.has(name):
            return json.dumps({"error": f"There is no tool {name}"})
        try:
            if step.parameters is None or tools.problems(name, step.parameters):
                return self.text(job, [_said(prompts.step(file, index))], tools, first=name)
            return tools.call(name, step.parameters, "planned")
        except ToolFailed as failure:
            return json.dumps({"error": str(failure)})

    def text(
        self,
        job: Job,
        messages: list[Message],
        tools: Tools | None = None,
        first: str | None = None,
    ) -> str:
        """What the model says in the end to these messages, the last of which is the user's. Tools
        are called as it asks for them, `first` is offered before the others. Raises AgentFailed,
        OutOfTime, and what the admission of the tools raises."""
        before = replayed(job.journal)
        if before and not asks_for_tools(before[-1]):
            return text_of(before[-1])
        answer = self._ask(job, [*messages, *before], None, tools, first)
        return str(answer).strip()

    def _structured(self, job: Job, prompt: str, form: type[Form]) -> Form:
        """Raises StructuredOutputException if the model never says it in that form."""
        before = replayed(job.journal)
        again = "Say it in the form that was asked for." if _ends_in_words(before) else None
        answer = self._ask(job, [_said(prompt), *before], again, form=form)
        if not isinstance(answer.structured_output, form):
            raise StructuredOutputException("nothing in the form that was asked for")
        return answer.structured_output

    def _ask(
        self,
        job: Job,
        messages: list[Message],
        prompt: str | None,
        tools: Tools | None = None,
        first: str | None = None,
        form: type[BaseModel] | None = None,
    ) -> Any:
        worker = self._worker(job, messages, tools, first)
        turns = PLAN_TURNS if form else MAX_TURNS
        call = worker.invoke_async(prompt, limits={"turns": turns}, structured_output_model=form)
        try:
            answer = providers.loop().run_until_complete(call)
        except Exception as error:
            origin = _origin(error)
            if isinstance(origin, _TOLD_AS_THEY_ARE):
                raise origin from None
            log.exception("model call failed", extra={"agentId": job.agent.id})
            raise _failure(origin) from error
        if answer.stop_reason.startswith("limit_"):
            raise AgentFailed("BUDGET_EXCEEDED", f"The model did not finish within {turns} turns")
        return answer

    def _model(self, agent: AgentSnapshot) -> Model:
        model = providers.model(agent.configuration)
        if agent.configuration.get("cacheResponses"):
            return CachedModel(model, Cache(self._redis), agent)
        return model

    def _worker(
        self, job: Job, messages: list[Message], tools: Tools | None, first: str | None
    ) -> Agent:
        """Hooks are asked in this order before a call, and in the reverse order after it: an answer
        is kept before it is counted."""
        breaker = Breaker(self._redis, job.agent.configuration["llmProvider"])
        hooks: list[Any] = [
            Guard(breaker, job.deadline),
            TokenMeter(self._store, job.account),
            Recorder(job.journal, len(messages)),
            Retries(job.deadline),
            ModelSpans(job.agent),
            *([tools] if tools else []),
        ]
        return Agent(
            model=self._model(job.agent),
            messages=messages,  # type: ignore[arg-type]
            system_prompt=job.agent.configuration.get("systemPrompt"),
            tools=tools.for_model(first) if tools else [],  # type: ignore[arg-type]
            tool_executor=SequentialToolExecutor(),
            retry_strategy=None,
            hooks=hooks,
            conversation_manager=NullConversationManager(),
            callback_handler=_listener(job.on_text),
        )


# The last three are of the tables: no failure of the agent's.
_TOLD_AS_THEY_ARE = (
    StructuredOutputException,
    AgentFailed,
    ApprovalNeeded,
    OutOfTime,
    AppError,
    ClientError,
    BotoCoreError,
)


def _said(text: str) -> Message:
    return {"role": "user", "content": [{"text": text}]}


def _ends_in_words(messages: list[Message]) -> bool:
    return bool(messages) and not asks_for_tools(messages[-1])


def _listener(on_text: Callable[[str], None] | None) -> Callable[..., None] | None:
    if on_text is None:
        return None

    def heard(**event: Any) -> None:
        if isinstance(event.get("data"), str):
            on_text(event["data"])

    return heard


def _step(file: TaskFile, index: int) -> PlannedStep:
    return file.agreed_plan.steps[index]


def _choice(step: PlannedStep) -> type[BaseModel]:
    """The form of a decision: one of its options and nothing else."""
    names: Any = tuple(option.name for option in step.options or [])
    one_of: Any = Literal[names]
    return create_model(
        "Choice",
        __doc__="The option that is chosen, and why.",
        option=(one_of, Field(description="The name of the chosen option")),
        rationale=(str, Field(min_length=1, description="Why this option and not another")),
    )


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
