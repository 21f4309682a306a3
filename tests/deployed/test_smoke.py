"""The smoke test that a release must pass, against the platform at hand."""

import os
import subprocess
import sys

import pytest

from tests.platform import Platform
from tests.service import ROOT

pytestmark = [pytest.mark.deployed, pytest.mark.e2e]


def test_a_platform_that_works_passes_and_says_what_works(platform: Platform) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "infra.smoke"],
        cwd=ROOT,
        env=os.environ.copy(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "✓ the task completed" in done.stdout.splitlines()
