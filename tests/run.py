"""`make test` after the checks: a platform of its own, every test, and the platform stopped; then
the end-to-end tests once more on one that does not enforce IAM."""

import os
import subprocess
import sys

PORT = os.environ.get("TEST_PORT", "4550")
WORKERS = "4"
"""More than cores: most of a deployed test's time is spent waiting."""


def main() -> int:
    chosen = sys.argv[1:]
    failed = _run("enforced", *chosen)
    return failed if failed or chosen else _run("off", "tests/deployed", "-m", "e2e")


def _run(iam: str, *chosen: str) -> int:
    environment = os.environ | {"PORT": PORT, "IAM": iam}
    platform = [sys.executable, "-m", "infra.local"]
    if subprocess.run([*platform, "up"], env=environment, check=False).returncode:
        return 1
    tests = [sys.executable, "-m", "pytest", "-n", WORKERS, "--maxschedchunk", "1", *chosen]
    try:
        return subprocess.run(tests, env=environment, check=False).returncode
    finally:
        subprocess.run([*platform, "down"], env=environment, check=False)


if __name__ == "__main__":
    sys.exit(main())
