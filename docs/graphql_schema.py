"""The GraphQL schema as clients know it, and what would break them."""

from collections.abc import Iterator

from graphql import (
    build_schema,
    find_breaking_changes,
    lexicographic_sort_schema,
    print_schema,
)

from docs.permissions import SCHEMA

HEAD = """# The released schema, written by `make docs`. It only grows: what clients use stays.
# Which permission a field needs is in permissions.md.

"""


def released() -> str:
    """In the order of names, so that it changes when the schema does and not otherwise."""
    return HEAD + print_schema(lexicographic_sort_schema(build_schema(SCHEMA.read_text())))


def breaks(before: str) -> Iterator[str]:
    """Why the schema can't take the place of the released one."""
    for change in find_breaking_changes(build_schema(before), build_schema(SCHEMA.read_text())):
        yield f"GraphQL clients would break: {change.description}"
