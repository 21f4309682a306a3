"""One GraphQL request from its text to its answer, and its errors as clients see them."""

import asyncio
import json
import logging
from functools import cache
from pathlib import Path
from typing import Any

from ariadne import graphql, make_executable_schema
from ariadne.utils import unwrap_graphql_error
from chalicelib.graphql import approvals, mutations, resolvers, schedules
from chalicelib.graphql.context import Context
from chalicelib.graphql.limits import parse_within_limits
from chalicelib.graphql.models.requests import GraphQLRequest
from chalicelib.graphql.permissions import DIRECTIVES, assert_every_root_field_requires
from common.clock import timestamp
from common.errors import AppError, Invalid, envelope
from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLInputObjectType,
    GraphQLSchema,
    MaxIntrospectionDepthRule,
    OperationType,
    get_operation_ast,
)
from pydantic.alias_generators import to_snake

MAX_ANSWER_BYTES = 5_000_000
"""Lambda answers with 6 MB at most."""
BOUND = (*resolvers.BOUND, mutations.mutation, *approvals.BOUND, *schedules.BOUND)
MORE_RULES = [MaxIntrospectionDepthRule]
log = logging.getLogger(__name__)

# Ariadne logs every error with its traceback, the clients' own mistakes too. _failure logs ours.
logging.getLogger("ariadne").disabled = True


@cache
def schema() -> GraphQLSchema:
    return build(Path(__file__).with_name("schema.graphql").read_text())


def build(source: str) -> GraphQLSchema:
    built = make_executable_schema(
        source, *BOUND, directives=DIRECTIVES, convert_names_case=_in_python
    )
    assert_every_root_field_requires(built)
    return built


def _in_python(name: str, schema: GraphQLSchema, path: tuple[str, ...]) -> str:
    """Inputs keep the names that they have on the wire: they go on to the owner as they are."""
    is_input = isinstance(schema.get_type(path[0]), GraphQLInputObjectType)
    return name if is_input else to_snake(name)


def execute(request: GraphQLRequest, context: Context) -> dict[str, Any]:
    """Of a query or a mutation."""

    def render(error: GraphQLError, _debug: bool = False) -> dict[str, Any]:
        return rendered(error, context.request_id)

    try:
        _, answer = asyncio.run(
            graphql(
                schema(),
                request.wire(),
                context_value=context,
                query_parser=_parse_for_http,
                validation_rules=MORE_RULES,
                error_formatter=render,
            )
        )
    except RecursionError:  # a validation rule's, over a long chain of fragments
        return {"errors": [render(GraphQLError("The query has too many fragments"))]}
    if len(json.dumps(answer).encode()) > MAX_ANSWER_BYTES:
        return {"errors": [render(GraphQLError("The answer is too large: ask for fewer objects"))]}
    return dict(answer)


def _parse_for_http(context: object, data: dict[str, Any]) -> DocumentNode:
    document = parse_within_limits(context, data)
    operation = get_operation_ast(document, data.get("operationName"))
    if operation and operation.operation == OperationType.SUBSCRIPTION:
        raise GraphQLError("A subscription needs a WebSocket")
    return document


def rendered(error: GraphQLError, request_id: str) -> dict[str, Any]:
    """GraphQL's own form, with the platform's error envelope in `extensions`."""
    failure = _failure(error)
    body = envelope(failure.code, failure.message, failure.details, request_id, timestamp())
    return error.formatted | {"message": failure.message, "extensions": body["error"]}


def _failure(error: GraphQLError) -> AppError:
    """An error that no exception of a resolver is behind is a mistake in the request."""
    cause = unwrap_graphql_error(error)
    if cause is None:
        return Invalid(error.message)
    if isinstance(cause, AppError):
        return cause
    log.error("a resolver failed", exc_info=cause, extra={"path": error.path})
    return InternalError("Something went wrong; the request id finds it in the log")


class InternalError(AppError):
    """What is not the client's fault, and not the client's business either."""
