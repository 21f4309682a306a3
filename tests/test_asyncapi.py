"""The catalogue's document, as the parser of AsyncAPI itself reads it (`make test` installs it)."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from common.events.asyncapi import document

ROOT = Path(__file__).parents[1]


def diagnostics(file: Path) -> list[Any]:
    node = Path(sys.executable).parent / "node"
    command = [str(node), str(ROOT / "tests/node/asyncapi.mjs"), str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert not done.stderr, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_parser_has_nothing_against_the_document() -> None:
    assert diagnostics(ROOT / "docs/asyncapi.json") == []


def test_the_parser_finds_what_refers_to_nothing(tmp_path: Path) -> None:
    broken = document()
    del broken["components"]["schemas"]["TaskCreatedV1"]
    file = tmp_path / "asyncapi.json"
    file.write_text(json.dumps(broken))
    assert "invalid-ref" in {each["code"] for each in diagnostics(file)}
