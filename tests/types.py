"""`python -m tests.types`: mypy, strict, one run for each set of modules that can't share a run.

Every service has a module called `app`, so each has a run of its own; two run at a time.
"""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]


class Run(NamedTuple):
    name: str
    targets: tuple[str, ...]
    path: str = "libs/common"

    def check(self) -> tuple[bool, str]:
        command = [sys.executable, "-m", "mypy", "--cache-dir", f".mypy_cache/{self.name}"]
        environment = os.environ | {"MYPYPATH": self.path}
        done = subprocess.run(
            [*command, "--no-error-summary", *self.targets],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode == 0, done.stdout + done.stderr


def runs() -> list[Run]:
    """The slowest first."""
    services = [_service(app.parent.name) for app in sorted(ROOT.glob("services/*/app.py"))]
    everything_else = Run("rest", ("infra", "bench", "docs", "examples"))
    return [everything_else, *services, Run("common", ("libs/common/common",))]


def _service(name: str) -> Run:
    folder = f"services/{name}"
    return Run(name, (f"{folder}/app.py", f"{folder}/chalicelib"), f"libs/common:{folder}")


def main() -> int:
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(Run.check, runs()))
    sys.stdout.write("".join(text for _, text in results))
    return 0 if all(passed for passed, _ in results) else 1


if __name__ == "__main__":
    sys.exit(main())
