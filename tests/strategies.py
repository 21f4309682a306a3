"""What the tests generate: JSON, events, permissions, agents and their tasks' histories."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from common.clock import new_id
from common.events.base import Event
from common.events.catalogue import CATALOGUE
from common.events.delivery import MAX_DEPTH
from common.events.tasks import (
    TaskCancelledV1,
    TaskCompletedV1,
    TaskCreatedV1,
    TaskFailedV1,
    ToolInvocation,
)
from common.principals import ACTIONS, ANY, RESOURCES, Permission
from hypothesis import strategies as st

from tests.service import Service

ENDINGS = ("completed", "failed", "cancelled")

floats = st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | st.integers() | floats | st.text()
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
json_objects = st.dictionaries(st.text(), json_values, max_size=3)
words = st.text(min_size=1, max_size=60).filter(str.strip)
names = words | st.sampled_from(["Ada 🤖", "日本語の名前", "é" * 100, "'\"\\\n\t{}", "\x00 \u202e"])


st.register_type_strategy(
    ToolInvocation, st.builds(ToolInvocation, parameters=st.none() | json_objects)
)


def _values(annotation: Any) -> st.SearchStrategy[Any]:
    if annotation is float:
        return floats
    if annotation == dict[str, Any] | None:
        return st.none() | json_objects
    return json_objects if annotation == dict[str, Any] else st.from_type(annotation)


def events_of(event: type[Event]) -> st.SearchStrategy[Event]:
    """Optional fields are left out or given; what identifies an event is made by the class."""
    fields = {
        name: _values(field.annotation)
        for name, field in event.model_fields.items()
        if name not in ("event_id", "version", "timestamp")
    } | {"depth": st.integers(0, MAX_DEPTH)}
    optional = {n: fields.pop(n) for n in list(fields) if not event.model_fields[n].is_required()}
    return st.fixed_dictionaries(fields, optional=optional).map(lambda given: event(**given))


events = st.sampled_from([entry.event for entry in CATALOGUE]).flatmap(events_of)

parameters = st.fixed_dictionaries(
    {
        "type": st.just("object"),
        "properties": st.dictionaries(
            st.text(max_size=10),
            st.fixed_dictionaries(
                {"type": st.sampled_from(["string", "number", "object", "array"])},
                optional={"description": st.text(), "enum": st.lists(json_values, max_size=2)},
            ),
            max_size=3,
        ),
    },
    optional={
        "required": st.lists(st.text(max_size=10), max_size=2, unique=True),
        "additionalProperties": st.booleans(),
        "x-anything": json_values,
    },
)
tool_definitions = st.fixed_dictionaries(
    {
        "name": st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True),
        "description": words,
        "parameters": parameters,
        "handler": st.from_regex(r"agentic-tool-[A-Za-z0-9_-]{1,50}", fullmatch=True),
    },
    optional={"sideEffects": st.none() | st.sampled_from(["none", "idempotent", "unsafe"])},
)
approval_policies = st.fixed_dictionaries(
    {},
    optional={
        "steps": st.lists(st.sampled_from(["reasoning", "response"]), max_size=2),
        "expiresAfterSeconds": st.none() | st.integers(1, 7 * 24 * 3600),
    },
)
memory_configurations = st.fixed_dictionaries(
    {
        "maxContextLength": st.integers(100, 1_000_000),
        "summarizationThreshold": st.floats(0, 1, exclude_min=True),
        "retentionPolicy": st.sampled_from(["session", "persistent"]),
    }
)
_MANDATORY: dict[str, st.SearchStrategy[Any]] = {
    "llmProvider": st.sampled_from(["openai", "anthropic"]),
    "model": words,
    "tools": st.lists(tool_definitions, max_size=3, unique_by=lambda tool: tool["name"]),
}
_OPTIONAL: dict[str, st.SearchStrategy[Any]] = {
    "systemPrompt": st.none() | st.text(max_size=200),
    "temperature": st.none() | st.floats(0, 2) | st.sampled_from([0, 1, 2, 5e-324, 2.2e-308]),
    "maxTokens": st.none() | st.integers(1, 1_000_000),
    "memoryConfig": st.none() | memory_configurations,
    "cacheResponses": st.none() | st.booleans(),
    "approvalPolicy": st.none() | approval_policies,
}
configurations = st.fixed_dictionaries(_MANDATORY, optional=_OPTIONAL)
agents = st.fixed_dictionaries({"name": names, "configuration": configurations})
updates = st.fixed_dictionaries(
    {},
    optional={
        "name": st.none() | names,
        "configuration": st.none() | st.fixed_dictionaries({}, optional=_MANDATORY | _OPTIONAL),
    },
)


def updated(agent: dict[str, Any], update: dict[str, Any]) -> dict[str, Any]:
    """What an owner who reads the documentation expects of an update."""
    return {
        "name": update.get("name") or agent["name"],
        "configuration": agent["configuration"] | (update.get("configuration") or {}),
    }


some_actions = st.lists(st.sampled_from([*ACTIONS, ANY]), min_size=1, max_size=3).map(tuple)
permissions = st.builds(Permission, st.sampled_from([*RESOURCES, ANY]), some_actions)


class TaskStory(NamedTuple):
    """The life of one task: its creation and, if it ended, how; `ended_at` orders the endings."""

    task_id: str
    ending: str | None
    ended_at: int

    def events(self, agent_id: str) -> list[Event]:
        told: list[Event] = [self._created(agent_id)]
        return told + ([self._ended(agent_id)] if self.ending else [])

    def _created(self, agent_id: str) -> TaskCreatedV1:
        return TaskCreatedV1(description="anything", **self._about(agent_id, 0))

    def _ended(self, agent_id: str) -> Event:
        about = self._about(agent_id, self.ended_at)
        if self.ending == "completed":
            return TaskCompletedV1(result="done", **about)
        if self.ending == "failed":
            return TaskFailedV1(error_code="LLM_REFUSED", error_message="no", **about)
        return TaskCancelledV1(**about)

    def _about(self, agent_id: str, second: int) -> dict[str, Any]:
        return {
            "task_id": self.task_id,
            "agent_id": agent_id,
            "user_id": "ada",
            "aggregate_id": self.task_id,
            "aggregate_version": 2 if second else 1,
            "timestamp": f"2030-01-01T00:00:{second:02d}.000Z",
        }


def status_of(seen: Sequence[Event]) -> tuple[str, int]:
    """The status and the number of active tasks of an agent whose consumer saw these events."""
    begun = {event.aggregate_id for event in seen}
    ended = {event.aggregate_id: event for event in seen if event.detail_type() != "TaskCreated"}
    active = len(begun - ended.keys())
    if active:
        return "processing", active
    last = max(ended.values(), key=lambda event: event.timestamp, default=None)
    return "error" if isinstance(last, TaskFailedV1) else "idle", 0


@st.composite
def task_stories(draw: st.DrawFn, most: int = 2) -> list[TaskStory]:
    endings = draw(st.lists(st.none() | st.sampled_from(ENDINGS), min_size=1, max_size=most))
    seconds = draw(st.permutations(range(1, len(endings) + 1)))
    return [
        TaskStory(new_id(), ending, second) for ending, second in zip(endings, seconds, strict=True)
    ]


@st.composite
def deliveries(draw: st.DrawFn, stories: Sequence[TaskStory], agent_id: str) -> list[Event]:
    """All events of the stories in the order in which they happened, some of them twice."""
    told = sorted(
        (event for story in stories for event in story.events(agent_id)),
        key=lambda event: event.timestamp,
    )
    copies = draw(st.lists(st.integers(1, 2), min_size=len(told), max_size=len(told)))
    return [event for event, count in zip(told, copies, strict=True) for _ in range(count)]


@contextmanager
def without_table(service: Service) -> Iterator[None]:
    """Afterwards the service has a table again, a new one."""
    table = service.table
    schema = {
        "TableName": table.name,
        "KeySchema": table.key_schema,
        "AttributeDefinitions": table.attribute_definitions,
        "BillingMode": "PAY_PER_REQUEST",
        "GlobalSecondaryIndexes": [
            {name: index[name] for name in ("IndexName", "KeySchema", "Projection")}
            for index in table.global_secondary_indexes
        ],
    }
    table.delete()
    try:
        yield
    finally:
        table.meta.client.create_table(**schema)


@contextmanager
def emptied(service: Service) -> Iterator[Service]:
    """Over a new table: moto's transactions copy the whole of it, deleted keys too."""
    with without_table(service):
        pass
    yield service
