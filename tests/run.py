"""`make test` after the checks: a platform of its own, every test, and the platform stopped."""

import os
import subprocess
import sys

PORT = os.environ.get("TEST_PORT", "4550")
WORKERS = "4"
"""More than cores: most of a deployed test's time is spent waiting."""


def main() -> int:
    environment = os.environ | {"PORT": PORT}
    platform = [sys.executable, "-m", "infra.local"]
    if subprocess.run([*platform, "up"], env=environment, check=False).returncode:
        return 1
    tests = [sys.executable, "-m", "pytest", "-n", WORKERS, "--maxschedchunk", "1", *sys.argv[1:]]
    try:
        return subprocess.run(tests, env=environment, check=False).returncode
    finally:
        subprocess.run([*platform, "down"], env=environment, check=False)


if __name__ == "__main__":
    sys.exit(main())
