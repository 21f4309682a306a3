"""The schema says who may ask for a field; here it is held to it."""

from collections.abc import Iterator
from typing import Any

from ariadne import SchemaDirectiveVisitor
from graphql import (
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLSchema,
    default_field_resolver,
    get_directive_values,
)


class Requires(SchemaDirectiveVisitor):
    """`@requires(scope: …)`: callers without the permission get Forbidden instead of the field."""

    def visit_field_definition(
        self, field: GraphQLField, object_type: GraphQLObjectType | GraphQLInterfaceType
    ) -> GraphQLField:
        scope, resolve = self.args["scope"], field.resolve or default_field_resolver

        def resolve_if_allowed(source: Any, info: GraphQLResolveInfo, **arguments: Any) -> Any:
            info.context.principal.require(scope)
            return resolve(source, info, **arguments)

        field.resolve = resolve_if_allowed
        return field


# Any: ariadne's visitors are Protocols, which mypy takes for abstract.
DIRECTIVES: dict[str, Any] = {"requires": Requires}


def assert_every_root_field_requires(schema: GraphQLSchema) -> None:
    """What a query begins with must say who may ask for it, so that nobody forgets."""
    forgotten = list(_fields_for_everybody(schema))
    assert not forgotten, f"@requires is missing on {', '.join(forgotten)}"


def _fields_for_everybody(schema: GraphQLSchema) -> Iterator[str]:
    directive = schema.get_directive("requires")
    assert directive, "the schema does not declare @requires"
    for root in filter(None, (schema.query_type, schema.mutation_type, schema.subscription_type)):
        for name, field in root.fields.items():
            if not (field.ast_node and get_directive_values(directive, field.ast_node)):
                yield f"{root.name}.{name}"
