"""The local platform's commands when they cannot do what they are asked."""

import json
import os
import socket
import subprocess
import sys

import psutil
import pytest

from infra.local.deployment import deploy
from infra.local.processes import LocalPlatformError, Processes
from infra.local.settings import ROOT, Settings

PORT = 4990


def up(port: int, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "infra.local", "up"],
        cwd=ROOT,
        env=os.environ | {"PORT": str(port), "COLUMNS": "200"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_port_in_use_is_one_sentence_and_nothing_is_left_running() -> None:
    with socket.create_server(("127.0.0.1", PORT + 3)):
        done = up(PORT)
    assert done.returncode == 1
    assert done.stdout.strip().splitlines() == [
        f"✗ Port {PORT + 3} (Redis) is in use: stop what uses it, or choose four other "
        "ports with PORT=<first>."
    ]
    assert not Processes(Settings(PORT)).running()


def test_iam_is_enforced_unless_it_is_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IAM", raising=False)
    assert Settings.from_environment().enforces_iam
    monkeypatch.setenv("IAM", "off")
    assert not Settings.from_environment().enforces_iam
    monkeypatch.setenv("IAM", "of")
    with pytest.raises(SystemExit, match="either enforced or off"):
        Settings.from_environment()


def test_a_pid_that_was_given_to_another_process_is_not_ours() -> None:
    settings = Settings(PORT)
    settings.directory.mkdir(parents=True, exist_ok=True)
    file = settings.directory / "pids.json"
    file.write_text(f'{{"redis": [{os.getpid()}, 1.0]}}')
    try:
        assert Processes(settings).running() == {}
        assert Processes(settings).stop() is False
    finally:
        file.unlink(missing_ok=True)


def test_a_running_platform_does_not_pass_for_one_with_other_iam() -> None:
    settings = Settings(PORT + 4, iam="off")
    settings.directory.mkdir(parents=True, exist_ok=True)
    this = [os.getpid(), psutil.Process().create_time()]
    pids = settings.directory / "pids.json"
    pids.write_text(json.dumps(dict.fromkeys(("redis", "simulator", "emulator"), this)))
    settings.platform_file.write_text(json.dumps({"iam": settings.iam}))
    try:
        done = up(settings.port, IAM="enforced")
    finally:
        pids.unlink()
        settings.platform_file.unlink()
    assert done.returncode == 1
    assert done.stdout == "✗ A platform with IAM off is running: `make down` first.\n"


def test_without_node_the_deployment_says_what_to_do() -> None:
    settings = Settings(PORT)
    with pytest.raises(LocalPlatformError, match="make setup"):
        deploy(settings, cdk=ROOT / "nowhere")
