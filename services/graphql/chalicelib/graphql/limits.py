"""What a query may cost before any of it is carried out."""

from collections.abc import Callable, Iterable
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    IntValueNode,
    Node,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    VariableNode,
    Visitor,
    parse,
    visit,
)

MAX_QUERY_BYTES = 16 * 1024
MAX_DEPTH = 10
"""From all agents to what the steps of their tasks called, which is nine, and one more."""
MAX_ALIASES = 30
# Validation compares fields in pairs and takes a second over 16 KB of the shortest ones. The
# introspection query of the usual clients has 163 tokens.
MAX_TOKENS = 2000
MAX_COST = 12_000
"""A hundred agents with their twenty newest tasks and these tasks' steps are within it, and
twenty agents with what their tasks asked a person about."""
COST_OF_LIST = 25
"""Every list is a read of its own. What is read by id is gathered, and costs 1."""
LISTS = ("agents", "tasks", "approvals", "schedules")
"""The fields that take a limit; a test holds them against the schema. A task's own approvals, which
take none, cost as much as if they did."""
DEFAULT_LIMIT = 20
MAX_LIMIT = 100


def parse_within_limits(_context: object, data: dict[str, Any]) -> DocumentNode:
    """Raises GraphQLError for a query that is malformed or too large in any respect."""
    if len(data["query"].encode()) > MAX_QUERY_BYTES:
        raise GraphQLError(f"The query is larger than {MAX_QUERY_BYTES} bytes")
    try:
        document = parse(data["query"], max_tokens=MAX_TOKENS)
        depth = _Measure(document, max, lambda _field, below: 1 + below).of_document()
    except RecursionError:
        depth = MAX_DEPTH + 1
    if depth > MAX_DEPTH:
        raise GraphQLError(f"The query is nested deeper than {MAX_DEPTH} levels")
    if _aliases(document) > MAX_ALIASES:
        raise GraphQLError(f"The query has more than {MAX_ALIASES} aliases")
    cost = _Measure(document, sum, _Cost(document, data.get("variables") or {})).of_document()
    if cost > MAX_COST:
        raise GraphQLError(f"The query costs {cost}, and {MAX_COST} at most: ask for fewer objects")
    return document


def _aliases(document: DocumentNode) -> int:
    counter = _AliasCounter()
    visit(document, counter)
    return counter.count


class _AliasCounter(Visitor):
    count = 0

    def enter_field(self, node: FieldNode, *_: object) -> None:
        self.count += node.alias is not None


class _Cost:
    """How many objects a field may lead to: a list multiplies what is asked of each of its nodes.

    Nothing was validated yet: what is no number costs as much as the largest that is allowed.
    """

    def __init__(self, document: DocumentNode, variables: dict[str, Any]) -> None:
        defaults = {
            definition.variable.name.value: definition.default_value
            for node in document.definitions
            if isinstance(node, OperationDefinitionNode)
            for definition in node.variable_definitions or ()
        }
        self._variables = {name: _number(node) for name, node in defaults.items()} | variables

    def __call__(self, field: FieldNode, below: int) -> int:
        if field.name.value in LISTS:
            return COST_OF_LIST + self._limit(field) * below
        return 1 + below if field.selection_set else 0

    def _limit(self, field: FieldNode) -> int:
        given = [node.value for node in field.arguments or () if node.name.value == "limit"]
        if not given:
            return DEFAULT_LIMIT
        if isinstance(given[0], VariableNode):
            limit = self._variables.get(given[0].name.value)
        else:
            limit = _number(given[0])
        return min(max(limit, 1), MAX_LIMIT) if isinstance(limit, int) else MAX_LIMIT


def _number(node: Node | None) -> int | None:
    return int(node.value) if isinstance(node, IntValueNode) and len(node.value) < 10 else None


class _Measure:
    """A number for a whole document, made of its fields' numbers, each fragment's measured once:
    spread in each other they grow exponentially.

    Introspection does not count: it nests deeper, over the schema only, and has its own rule.
    """

    def __init__(
        self,
        document: DocumentNode,
        together: Callable[[Iterable[int]], int],
        of_field: Callable[[FieldNode, int], int],
    ) -> None:
        self._document = document
        self._together = together
        self._of_field = of_field
        self._fragments = {
            node.name.value: node
            for node in document.definitions
            if isinstance(node, FragmentDefinitionNode)
        }
        self._measured: dict[str, int] = {}

    def of_document(self) -> int:
        operations = (
            node for node in self._document.definitions if isinstance(node, OperationDefinitionNode)
        )
        return max((self._of(node.selection_set) for node in operations), default=0)

    def _of(self, selections: SelectionSetNode | None) -> int:
        nodes = selections.selections if selections else ()
        return self._together([0, *(self._of_selection(node) for node in nodes)])

    def _of_selection(self, node: SelectionNode) -> int:
        if isinstance(node, FieldNode):
            introspects = node.name.value in ("__schema", "__type")
            return 0 if introspects else self._of_field(node, self._of(node.selection_set))
        if isinstance(node, FragmentSpreadNode):
            return self._of_fragment(node.name.value)
        return self._of(getattr(node, "selection_set", None))

    def _of_fragment(self, name: str) -> int:
        if name not in self._measured and name in self._fragments:
            self._measured[name] = 0  # a fragment that contains itself: validation will refuse it
            self._measured[name] = self._of(self._fragments[name].selection_set)
        return self._measured.get(name, 0)
