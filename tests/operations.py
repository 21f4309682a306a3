"""Every operation of the platform, and how a call of it is put together.

Ids are filled in by name, so that a new operation is called as soon as it is declared; what has no
recipe here fails the tests that go through all of them.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

from chalicelib.status.models import ACTIONS
from common.operations import Operation
from graphql import (
    GraphQLArgument,
    GraphQLField,
    GraphQLNamedType,
    GraphQLObjectType,
    build_schema,
    get_named_type,
    is_input_object_type,
    is_required_argument,
)
from pydantic.alias_generators import to_camel, to_snake

from tests.service import ROOT, load

SERVICES = sorted(app.parent.name for app in ROOT.glob("services/*/app.py"))
WITH_BODY = ("POST", "PUT", "PATCH")
FREE_FORM = ("parameters", "variables", "extensions", "output")
"""What is in these members of a body is the client's own."""

Ids = Mapping[str, str]

INPUTS = {
    "CreateAgentInput": '{name: "a", configuration: {llmProvider: OPENAI, model: "m", tools: []}}',
    "UpdateAgentInput": '{name: "renamed"}',
    "CreateTaskInput": '{description: "Who are you?"}',
}
"""An example of each input type of the GraphQL schema, as its language writes it."""

_CONFIGURATION = {
    "llmProvider": "openai",
    "model": "simulated",
    "systemPrompt": "Be brief.",
    "temperature": 0.5,
    "maxTokens": 100,
    "memoryConfig": {
        "maxContextLength": 1000,
        "summarizationThreshold": 0.5,
        "retentionPolicy": "session",
    },
    "cacheResponses": False,
    "tools": [
        {
            "name": "clock",
            "description": "Tells the time",
            "parameters": {"type": "object", "properties": {"zone": {"type": "string"}}},
            "handler": "agentic-tool-clock",
            "sideEffects": "none",
        }
    ],
    "approvalPolicy": {"tools": ["clock"], "steps": ["response"], "expiresAfterSeconds": 60},
}
_QUOTAS = {"requestsPerMinute": 9, "agents": 9, "activeTasks": 9, "sockets": 9, "tokensPerDay": 9}
_QUOTAS |= {"schedules": 9}
_SCHEDULE = {
    "agentId": "{agent_id}",
    "description": "Who are you?",
    "at": None,
    "rate": None,
    "cron": "0 9 ? * MON-FRI *",
    "timezone": "Europe/Berlin",
    "startsAt": "2030-01-01T00:00:00.000Z",
    "endsAt": "2040-01-01T00:00:00.000Z",
    "enabled": True,
    "onOverlap": "queue",
}

BODIES: dict[str, Any] = {
    "POST /agents": {"name": "helper", "configuration": _CONFIGURATION},
    "PUT /agents/{agent_id}": {"name": "renamed", "configuration": _CONFIGURATION},
    "POST /agents/{agent_id}/tasks": {"description": "Who are you?"},
    "POST /agents/{agent_id}/tasks/{task_id}/cancel": None,
    "POST /agents/{agent_id}/messages": {"content": "Who are you?", "sessionId": "{session_id}"},
    "POST /agents/{agent_id}/tasks/{task_id}/retry": None,
    "POST /agents/{agent_id}/tasks/{task_id}/tool-calls/{call_id}": {
        "outcome": "succeeded",
        "output": {"done": True},
    },
    "POST /approvals/{approval_id}": {"decision": "approve", "comment": "Go on"},
    "POST /agents/{agent_id}/inbox": {"toAgentId": "{other_agent_id}", "content": "Hello"},
    "POST /collaborations": {
        "pattern": "sequential",
        "participants": [
            {"agentId": "{agent_id}", "description": "Who are you?"},
            {"agentId": "{other_agent_id}", "description": "Who are you?"},
        ],
    },
    "POST /collaborations/{collaboration_id}/cancel": None,
    "POST /auth/users": {
        "name": "Grace",
        "permissions": [{"resource": "users", "actions": ["write"]}],
        "quotas": _QUOTAS,
    },
    "PUT /auth/users/{user_id}": {
        "permissions": [{"resource": "users", "actions": ["write"]}],
        "quotas": _QUOTAS,
        "disabled": False,
    },
    "POST /auth/token": None,
    "POST /auth/token/refresh": {"refreshToken": "{refresh_token}"},
    "POST /auth/token/revoke": {"refreshToken": "{refresh_token}"},
    "POST /auth/api-keys": {
        "name": "laptop",
        "userId": "{user_id}",
        "expiresAt": "2100-01-01T00:00:00.000Z",
    },
    "POST /schedules": _SCHEDULE,
    "PUT /schedules/{schedule_id}": _SCHEDULE,
    "POST /dead-letters/redrive": {"ids": ["{dead_letter_id}"]},
    "POST /graphql": {
        "query": "{ __typename }",
        "variables": {},
        "operationName": None,
        "extensions": {},
    },
}
"""A valid body of each operation with every documented field; None where there is no body."""


_ABOUT_A_FAILED_TASK = ("/retry", "/tool-calls/{call_id}")


@cache
def operations(service: str) -> list[Operation]:
    return list(load(service).app.operations)


def every_operation() -> list[Operation]:
    return [operation for service in SERVICES for operation in operations(service)]


def path_of(operation: Operation, ids: Ids) -> str:
    if operation.path.endswith(_ABOUT_A_FAILED_TASK):
        ids = {**ids, "task_id": ids.get("failed_task_id", ids["task_id"])}
    return str(filled(operation.path, ids))


def body_of(operation: Operation, ids: Ids) -> Any:
    if operation.method not in WITH_BODY:
        return None
    call = f"{operation.method} {operation.path}"
    assert call in BODIES, f"tests/operations.py has no example of a body for {call}"
    return filled(BODIES[call], ids)


def names_an_object(operation: Operation) -> bool:
    """Whether the path or the body say whose or which."""
    body = BODIES.get(f"{operation.method} {operation.path}")
    return bool(re.search(r"\{\w+_id\}", operation.path + json.dumps(body)))


def filled(template: Any, ids: Ids) -> Any:
    """The template with an id in the place of each `{name}`."""
    if isinstance(template, str):
        return re.sub(r"\{(\w+)\}", lambda found: _id(found[1], ids), template)
    if isinstance(template, list):
        return [filled(each, ids) for each in template]
    if isinstance(template, dict):
        return {name: filled(value, ids) for name, value in template.items()}
    return template


def _id(name: str, ids: Ids) -> str:
    assert name in ids, f"the tests have no recipe for the id {{{name}}}"
    return ids[name]


def socket_messages(ids: Ids) -> Iterator[dict[str, Any]]:
    """One message of each action of the status service's socket."""
    for action, declared in ACTIONS.items():
        required = [n for n, field in declared.message.model_fields.items() if field.is_required()]
        about = {to_camel(name): _id(name, ids) for name in required if name != "action"}
        yield {"action": action, **about}


class RootField(NamedTuple):
    """A field that a GraphQL operation begins with."""

    kind: str
    name: str
    field: GraphQLField

    @property
    def scope(self) -> str:
        (scope,) = _requires(self.field)
        return scope

    @property
    def parameters(self) -> dict[str, str]:
        """Each id that the caller must give, and the name under which the tests know it."""
        return {
            name: self._parameter(name)
            for name, argument in self.field.args.items()
            if is_required_argument(argument) and not is_input_object_type(_named(argument))
        }

    @property
    def inputs(self) -> dict[str, str]:
        """What else the caller must give."""
        kinds = {name: _named(argument) for name, argument in self.field.args.items()}
        return {n: INPUTS[kind.name] for n, kind in kinds.items() if is_input_object_type(kind)}

    def _parameter(self, argument: str) -> str:
        """`id` is the id of what the field is about."""
        about = get_named_type(self.field.type).name
        about = "Agent" if about == "Boolean" else about  # of deleteAgent
        return to_snake(f"{about}Id" if argument == "id" else argument)

    def document(self, ids: Ids, **arguments: Any) -> str:
        """Asks, under the name `it`, for everything that takes no other permission to see."""
        given = {name: _id(parameter, ids) for name, parameter in self.parameters.items()}
        texts = {name: json.dumps(value) for name, value in (given | arguments).items()}
        told = ", ".join(f"{name}: {text}" for name, text in (texts | self.inputs).items())
        called = f"{self.name}({told})" if told else self.name
        return f"{self.kind} {{ it: {called} {_selection(get_named_type(self.field.type))} }}"


@cache
def root_fields() -> list[RootField]:
    """Of queries and mutations: a subscription takes a socket."""
    source = (ROOT / "services/graphql/chalicelib/graphql/schema.graphql").read_text()
    schema = build_schema(source)
    roots = {"query": schema.query_type, "mutation": schema.mutation_type}
    return [
        RootField(kind, name, field)
        for kind, root in roots.items()
        if root
        for name, field in root.fields.items()
    ]


def _named(argument: GraphQLArgument) -> GraphQLNamedType:
    return get_named_type(argument.type)


def _requires(field: GraphQLField) -> list[str]:
    """The permission that a field asks for."""
    directives = field.ast_node.directives or () if field.ast_node else ()
    return [
        str(getattr(directive.arguments[0].value, "value", ""))
        for directive in directives
        if directive.name.value == "requires"
    ]


def _selection(kind: GraphQLNamedType, inside: tuple[str, ...] = ()) -> str:
    if not isinstance(kind, GraphQLObjectType):
        return ""
    shown = {
        name: get_named_type(field.type)
        for name, field in kind.fields.items()
        if not any(map(is_required_argument, field.args.values())) and not _requires(field)
    }
    within = (*inside, kind.name)
    parts = [f"{n} {_selection(t, within)}" for n, t in shown.items() if t.name not in within]
    return f"{{ {' '.join(parts)} }}"
