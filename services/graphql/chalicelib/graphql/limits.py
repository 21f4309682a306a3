"""What a query may cost before any of it is carried out."""

from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    Visitor,
    parse,
    visit,
)

MAX_QUERY_BYTES = 16 * 1024
MAX_DEPTH = 8
MAX_ALIASES = 30
# Validation compares fields in pairs and takes a second over 16 KB of the shortest ones. The
# introspection query of the usual clients has 163 tokens.
MAX_TOKENS = 2000


def parse_within_limits(_context: object, data: dict[str, Any]) -> DocumentNode:
    """Raises GraphQLError for a query that is malformed or too large in any respect."""
    if len(data["query"].encode()) > MAX_QUERY_BYTES:
        raise GraphQLError(f"The query is larger than {MAX_QUERY_BYTES} bytes")
    try:
        document = parse(data["query"], max_tokens=MAX_TOKENS)
        depth = _Depth(document).of_document()
    except RecursionError:
        depth = MAX_DEPTH + 1
    if depth > MAX_DEPTH:
        raise GraphQLError(f"The query is nested deeper than {MAX_DEPTH} levels")
    if _aliases(document) > MAX_ALIASES:
        raise GraphQLError(f"The query has more than {MAX_ALIASES} aliases")
    return document


def _aliases(document: DocumentNode) -> int:
    counter = _AliasCounter()
    visit(document, counter)
    return counter.count


class _AliasCounter(Visitor):
    count = 0

    def enter_field(self, node: FieldNode, *_: object) -> None:
        self.count += node.alias is not None


class _Depth:
    """Counts through fragments, each measured once: spread in each other they grow exponentially.

    Introspection does not count: it nests deeper, over the schema only, and has its own rule.
    """

    def __init__(self, document: DocumentNode) -> None:
        self._document = document
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
        return max((self._of_selection(node) for node in nodes), default=0)

    def _of_selection(self, node: SelectionNode) -> int:
        if isinstance(node, FieldNode):
            introspects = node.name.value in ("__schema", "__type")
            return 0 if introspects else 1 + self._of(node.selection_set)
        if isinstance(node, FragmentSpreadNode):
            return self._of_fragment(node.name.value)
        return self._of(getattr(node, "selection_set", None))

    def _of_fragment(self, name: str) -> int:
        if name not in self._measured and name in self._fragments:
            self._measured[name] = 0  # a fragment that contains itself: validation will refuse it
            self._measured[name] = self._of(self._fragments[name].selection_set)
        return self._measured.get(name, 0)
