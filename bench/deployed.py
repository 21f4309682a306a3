"""What a deployed function would find around it, for code of it that is measured here."""

import os

from infra.local.settings import ROOT
from tests.platform import Platform


def environment(platform: Platform, service: str, function: str) -> dict[str, str]:
    """For a process of Python: the function's settings, its service's code, and the emulator."""
    folders = (ROOT / "services" / service, ROOT / "libs/common")
    return {
        **os.environ,
        **platform.function(function)["Environment"]["Variables"],
        "AWS_ENDPOINT_URL": platform.facts["awsEndpointUrl"],
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "PYTHONPATH": os.pathsep.join(map(str, folders)),
    }
