"""Every promise names tests, and every test that a promise names exists."""

import re

from tests.test_every_property import ROOT

PROMISES = ROOT / "docs/promises.md"
FOLDERS = (
    "services/*/tests",
    "libs/common/tests",
    "infra/tests",
    "tests",
    "tests/deployed",
    "tests/faults",
)


def test_every_test_that_a_promise_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", PROMISES.read_text()))
    assert len(named) > 20
    there = {
        name
        for folder in FOLDERS
        for file in ROOT.glob(f"{folder}/*.py")
        for name in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)
    }
    assert named - there == set()


def test_every_promise_is_shown_by_a_test() -> None:
    rows = [line for line in PROMISES.read_text().splitlines() if re.match(r"\| [A-Z]", line)]
    assert len(rows) > 15
    assert [row for row in rows if "`test_" not in row] == []


def test_every_path_that_needs_an_owner_exists() -> None:
    lines = (ROOT / ".github/CODEOWNERS").read_text().splitlines()
    paths = [line.split()[0] for line in lines if line and not line.startswith(("#", "*"))]
    assert [path for path in paths if not (ROOT / path.lstrip("/")).exists()] == []
    services = {f"/services/{app.parent.name}/" for app in ROOT.glob("services/*/app.py")}
    assert services - set(paths) == set()
