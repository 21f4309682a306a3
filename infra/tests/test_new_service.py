"""A service is added as docs/add-a-service.md says, and passes every check as it is."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from infra.new_service.__main__ import Refused, scaffold
from infra.packaging import ROOT
from infra.stage import SERVICES

NAME = "reports"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Of everything that is under version control, or is going to be."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    found = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(lambda each: (ROOT / each).is_file(), found.splitlines()):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, tmp_path / name)
    return tmp_path


def run(command: str, folder: Path) -> str:
    """With what is installed here; the copy's `make` is not to install anything."""
    command = re.sub(r"^make ", "make -o setup ", command)
    tools = Path(sys.executable).parent
    environment = os.environ | {
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": ".:libs/common",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    environment.pop("PYTEST_ADDOPTS", None)
    done = subprocess.run(
        command,
        shell=True,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def steps() -> list[str]:
    text = (ROOT / "docs/add-a-service.md").read_text()
    (block,) = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    return list(block.splitlines())


def test_the_steps_of_the_page_lead_to_a_service_that_passes_every_check(copy: Path) -> None:
    told = [run(step, copy) for step in steps()]
    assert any("passed" in said or "100%" in said for said in told), "its tests have not run"
    run("ruff format --check .", copy)
    run("ruff check .", copy)
    run("PYTHONPATH=.:libs/common:$(echo services/* | tr ' ' ':') lint-imports --no-cache", copy)
    run("python -m docs.generate --check", copy)
    run("python -m pytest -q tests/test_isolation.py", copy)
    assert f"`GET /{NAME}`" in (copy / "docs/permissions.md").read_text()


@pytest.mark.parametrize("name", ["", "Reports", "a", "class", "two-words", "../up", *SERVICES])
def test_a_name_that_will_not_do_changes_nothing(copy: Path, name: str) -> None:
    def everything() -> dict[Path, bytes]:
        return {file: file.read_bytes() for file in copy.rglob("*") if file.is_file()}

    before = everything()
    with pytest.raises(Refused):
        scaffold(copy, name)
    assert everything() == before
