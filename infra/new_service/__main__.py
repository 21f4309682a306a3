"""`make new-service NAME=…`: a service that passes every check, made from the files of `template`
and registered wherever services are."""

import keyword
import re
import sys
from pathlib import Path

TEMPLATE = Path(__file__).parent / "template"


class Refused(Exception):
    """Nothing was changed."""


def scaffold(root: Path, name: str) -> None:
    """Raises Refused."""
    target = root / "services" / name
    if not re.fullmatch(r"[a-z][a-z]{2,19}", name) or keyword.iskeyword(name):
        raise Refused("NAME is one word of 3 to 20 small letters, for example: reports")
    if target.exists() or (root / "libs/common/common" / f"{name}.py").exists():
        raise Refused(f"there is something called {name} already")
    changed = {root / file: _registered(root / file, name, edits) for file, edits in EDITS.items()}
    for file in filter(Path.is_file, TEMPLATE.rglob("*")):
        path = str(file.relative_to(TEMPLATE)).replace("NAME", name).removesuffix(".txt")
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        (target / path).write_text(file.read_text().replace("NAME", name))
    for path_of, text in changed.items():
        path_of.write_text(text)


EDITS = {
    "pyproject.toml": (
        (r"(?m)^graphql = \[.*\n", 'NAME = [{ include-group = "common" }]\n'),
        (r'    \{ include-group = "local" \},\n', '    { include-group = "NAME" },\n'),
        (r'"services/graphql"', ', "services/NAME"'),
        (r'    "chalicelib\.graphql",\n', '    "chalicelib.NAME",\n'),
    ),
    "infra/stage.py": ((r'SERVICES = \(.*"graphql"', ', "NAME"'),),
    "infra/services.py": (
        (r"(?=SERVICE_STACKS = )", 'class TITLEStack(ServiceStack):\n    service = "NAME"\n\n\n'),
        (r"StatusStack, GraphqlStack", ", TITLEStack"),
    ),
    "tests/belongings.py": ((r'    "graphql": \w+,\n', '    "NAME": lambda _service: {},\n'),),
    ".github/CODEOWNERS": ((r"/services/graphql/ .*\n", "/services/NAME/ @agentic/NAME\n"),),
}
"""File → what follows there on each match of a pattern."""


def _registered(file: Path, name: str, edits: tuple[tuple[str, str], ...]) -> str:
    text = file.read_text()
    for pattern, addition in edits:
        added = addition.replace("NAME", name).replace("TITLE", name.title())
        text, count = re.subn(pattern, lambda found, added=added: found[0] + added, text)  # type: ignore[misc]
        if not count:
            raise Refused(f"{file} has no place for a service: {pattern}")
    return text


def main() -> int:
    try:
        scaffold(Path.cwd(), sys.argv[1] if len(sys.argv) > 1 else "")
    except Refused as refused:
        sys.stderr.write(f"✗ {refused}\n")
        return 1
    sys.stdout.write(f"✓ services/{sys.argv[1]}; go on with docs/add-a-service.md\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
