"""`make test` after the checks: a platform of its own, every test, and the platform stopped; then
the end-to-end tests once more on one that does not enforce IAM, and whose Redis is stopped then."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence

from infra.local.settings import Settings
from tests.oidc import OidcIssuer

PORT = os.environ.get("TEST_PORT", "4550")
WORKERS = "4"
"""More than cores: most of a deployed test's time is spent waiting."""


def main() -> int:
    chosen = sys.argv[1:]
    failed = _run("enforced", chosen)
    if failed or chosen:
        return failed
    return _run("off", ["tests/deployed", "-m", "e2e"], ["tests/deployed/redis_stopped.py", "-n0"])


def _run(iam: str, *suites: Sequence[str]) -> int:
    """One after the other on the same platform, until one fails."""
    issuers = _trusted_issuers()
    environment = os.environ | {"PORT": PORT, "IAM": iam, "TRUSTED_ISSUERS_FILE": issuers}
    platform = [sys.executable, "-m", "infra.local"]
    if subprocess.run([*platform, "up"], env=environment, check=False).returncode:
        return 1
    tests = [sys.executable, "-m", "pytest", "-n", WORKERS, "--maxschedchunk", "1"]
    try:
        for suite in suites:
            run = subprocess.run([*tests, *suite], env=environment, check=False)
            if run.returncode:
                return run.returncode
        return 0
    finally:
        subprocess.run([*platform, "down"], env=environment, check=False)


def _trusted_issuers() -> str:
    """The platform trusts an issuer that a test plays, beside its own four ports."""
    issuer = OidcIssuer(f"http://127.0.0.1:{int(PORT) + 4}")
    file = Settings(int(PORT)).directory / "trusted_issuers.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps([issuer.configuration()]))
    return str(file)


if __name__ == "__main__":
    sys.exit(main())
