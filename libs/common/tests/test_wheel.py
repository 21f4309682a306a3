"""A team outside installs the events and reads one, with nothing of ours beside it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from common.events.tasks import TaskCompletedV1

from tests.service import ROOT, bus_envelope

UV = str(Path(sys.executable).parent / "uv")
READ = """
import json, sys
from common.events.tasks import TaskCompletedV1
event = TaskCompletedV1.model_validate(json.load(sys.stdin)["detail"])
print(event.task_id, event.result)
"""


def run(*command: str, **options: Any) -> str:
    done = subprocess.run(command, check=True, capture_output=True, text=True, **options)
    return done.stdout


@pytest.fixture
def stranger(tmp_path: Path) -> Path:
    """The Python of a fresh environment, in which the wheel alone was installed."""
    source = shutil.copytree(ROOT / "libs/common", tmp_path / "source")
    dist = tmp_path / "dist"
    run(UV, "build", "--wheel", "--no-build-isolation", "--out-dir", str(dist), cwd=source)
    (wheel,) = dist.glob("*.whl")
    run(UV, "venv", "--python", sys.executable, str(tmp_path / "venv"))
    python = tmp_path / "venv/bin/python"
    locked = ("--constraint", str(ROOT / "requirements.lock"), "--no-verify-hashes")
    run(UV, "pip", "install", "--python", str(python), *locked, str(wheel))
    return python


def test_a_stranger_reads_an_event(stranger: Path, tmp_path: Path) -> None:
    about: dict[str, Any] = {"user_id": "ada", "aggregate_id": "t1", "aggregate_version": 3}
    event = TaskCompletedV1(task_id="t1", agent_id="a1", result="done", **about)
    told = json.dumps(bus_envelope(event))
    environment = {"PATH": "", "HOME": str(tmp_path)}
    shown = run(str(stranger), "-c", READ, input=told, cwd=tmp_path, env=environment)
    assert shown == "t1 done\n"
