"""Subscriptions without a process that waits: each is stored, and executed once per event."""

from collections.abc import Callable
from typing import Any

from chalicelib.graphql import execution
from chalicelib.graphql.context import Context
from chalicelib.graphql.execution import rendered
from chalicelib.graphql.limits import parse_within_limits
from chalicelib.graphql.models.requests import GraphQLRequest
from chalicelib.graphql.models.sockets import Asked, Operation, Update
from common.errors import AppError
from common.principals import Principal
from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    OperationDefinitionNode,
    OperationType,
    execute,
    get_argument_values,
    get_directive_values,
    get_operation_ast,
    get_variable_values,
    specified_rules,
    validate,
)
from graphql.execution.collect_fields import collect_fields


class Refused(AppError):
    """Nothing of it was executed, for these reasons."""

    def __init__(self, *errors: GraphQLError) -> None:
        super().__init__("The operation is not valid")
        self.errors = errors


class Language:
    """What sockets need of GraphQL; `context` is that of one caller."""

    def __init__(self, context: Callable[[Principal], Context]) -> None:
        self._context = context

    def execute(self, request: GraphQLRequest, caller: Principal) -> dict[str, Any]:
        return execution.execute(request, self._context(caller))

    def answer_to(self, operation: Operation, update: Update) -> dict[str, Any]:
        """The payload of one `next`."""
        context = self._context(operation.principal)
        document = parse_within_limits(None, operation.request.wire())
        result = execute(
            execution.schema(),
            document,
            root_value=update,
            context_value=context,
            variable_values=operation.request.variables,
            operation_name=operation.request.operation_name,
        )
        assert isinstance(result, ExecutionResult), "no field of a subscription waits for anything"
        payload: dict[str, Any] = {"data": result.data, "extensions": {"cursor": str(update.seq)}}
        if result.errors:
            payload["errors"] = [rendered(each, context.request_id) for each in result.errors]
        return payload

    def errors_of(self, error: AppError, caller: Principal) -> list[dict[str, Any]]:
        reasons = (
            error.errors
            if isinstance(error, Refused)
            else [GraphQLError(error.message, original_error=error)]
        )
        return [rendered(each, self._context(caller).request_id) for each in reasons]

    def asked(self, request: GraphQLRequest) -> Asked | None:
        """What is subscribed to, or None for a query or a mutation. Raises Refused."""
        document = _validated(request)
        operation = get_operation_ast(document, request.operation_name)
        if operation is None:
            raise Refused(GraphQLError("It does not say which operation"))
        if operation.operation != OperationType.SUBSCRIPTION:
            return None
        return _field(document, operation, request.variables or {})


def _validated(request: GraphQLRequest) -> DocumentNode:
    try:
        document = parse_within_limits(None, request.wire())
        errors = validate(execution.schema(), document, [*specified_rules, *execution.MORE_RULES])
    except GraphQLError as error:
        raise Refused(error) from error
    except RecursionError as error:
        raise Refused(GraphQLError("The query has too many fragments")) from error
    if errors:
        raise Refused(*errors)
    return document


def _field(
    document: DocumentNode, operation: OperationDefinitionNode, given: dict[str, Any]
) -> Asked:
    schema = execution.schema()
    variables = get_variable_values(schema, operation.variable_definitions or (), given)
    if isinstance(variables, list):
        raise Refused(*variables)
    root = schema.subscription_type
    assert root, "the schema has subscriptions"
    fragments = {
        node.name.value: node
        for node in document.definitions
        if isinstance(node, FragmentDefinitionNode)
    }
    fields = collect_fields(schema, fragments, variables, root, operation.selection_set)
    nodes: list[FieldNode] = next(iter(fields.values()), [])
    if not nodes or nodes[0].name.value not in root.fields:
        raise Refused(GraphQLError("It subscribes to nothing"))
    field, directive = root.fields[nodes[0].name.value], schema.get_directive("requires")
    assert directive
    assert field.ast_node
    try:
        arguments = get_argument_values(field, nodes[0], variables)
    except GraphQLError as error:
        raise Refused(error) from error
    required = get_directive_values(directive, field.ast_node) or {}
    return Asked(nodes[0].name.value, required["scope"], arguments)
