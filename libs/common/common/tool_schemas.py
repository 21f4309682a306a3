"""The JSON schemas of tools' parameters: written by users, applied to what models say.

Neither may make us fetch an address or spend more than linear time: references stay inside the
schema, and patterns are those of RE2, which knows no catastrophic ones. Imports are inside the
functions, because only few requests need them.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from common.errors import Invalid
from common.strict_json import strict

MAX_PROBLEMS = 10
_DATA = re.compile(r"(enum|const|default|examples|x-.*)$", re.S)
"""Members of a schema whose values are no schemas, and to which no reference leads."""
_REF = re.compile(r"#(/(\$defs|definitions)/[^/]+)?$")


class UnusableSchema(Exception):
    """It is no JSON schema, or one that we do not apply; says why."""


def refuse_unusable(schema: dict[str, Any]) -> None:
    """Raises UnusableSchema."""
    import jsonschema

    for keyword, value in _keywords(schema):
        _refuse_keyword(keyword, value)
    try:
        _validator_class().check_schema(schema)
    except jsonschema.SchemaError as error:
        raise UnusableSchema(f"{error.json_path}: {error.message}"[:500]) from error


def problems(schema: dict[str, Any], parameters: object) -> list[str]:
    """What the schema has against these parameters; empty if nothing. Raises UnusableSchema."""
    import referencing

    refuse_unusable(schema)
    try:
        strict(parameters)
    except Invalid:
        return ["The parameters are no JSON, or nested too deeply"]
    if not isinstance(parameters, dict):
        return ["The parameters are not an object"]
    # An empty registry: a schema that refers to an address must not make us fetch it.
    validator = _validator_class()(schema, registry=referencing.Registry())
    try:
        found = [f"{e.json_path}: {e.message}"[:500] for e in validator.iter_errors(parameters)]
    except (referencing.exceptions.Unresolvable, RecursionError) as error:
        raise UnusableSchema("A reference in it leads nowhere") from error
    return found[:MAX_PROBLEMS]


def _keywords(schema: object) -> Iterator[tuple[str, object]]:
    if isinstance(schema, dict):
        for name, value in schema.items():
            yield name, value
            if not _DATA.match(name):
                yield from _keywords(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _keywords(value)


def _refuse_keyword(keyword: str, value: object) -> None:
    import re2

    if keyword in ("$ref", "$dynamicRef") and isinstance(value, str) and not _REF.match(value):
        raise UnusableSchema("A reference may only lead to the schema itself or its $defs")
    if keyword == "patternProperties" and isinstance(value, dict):
        raise UnusableSchema("patternProperties is not supported")
    if keyword == "pattern" and isinstance(value, str):
        try:
            re2.compile(value, _options())
        except re2.error as error:
            raise UnusableSchema("A pattern is not a regular expression of RE2") from error


@cache
def _options() -> Any:
    """Nothing is written to the error output, and no pattern takes more than a megabyte."""
    import re2

    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    return options


@cache
def _validator_class() -> Any:
    import jsonschema
    import re2

    def pattern(_: Any, value: str, instance: object, __: Any) -> Iterator[Any]:
        if isinstance(instance, str) and not re2.search(value, instance, _options()):
            yield jsonschema.ValidationError(f"does not match {value!r}")

    extend: Any = jsonschema.validators.extend
    return extend(jsonschema.Draft202012Validator, {"pattern": pattern})
