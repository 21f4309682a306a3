"""The services' own routes, and what a path-based front door makes of them."""

import json
import os
import re
import subprocess
import sys
from typing import Any

from infra.packaging import ROOT

_PRINT_ROUTES = "import json, app; print(json.dumps(sorted(app.app.routes)))"


def routes_of(service: str) -> list[str]:
    routes: list[str] = printed_by(service, _PRINT_ROUTES)
    return routes


def printed_by(service: str, script: str) -> Any:
    """What the script prints as JSON, run beside the service's code in a process of its own: every
    service has a module called `app`."""
    folders = (ROOT / "services" / service, ROOT / "libs/common", ROOT)
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(map(str, folders)),
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def patterns(routes: dict[str, list[str]]) -> list[tuple[str, str]]:
    """Path pattern and service, the most specific first: CloudFront takes the first that matches.

    A pattern ends where the service's routes stop differing from each other, so that a service
    with ten routes needs one or two of the 25 that a distribution may have.
    """
    wanted = {(_pattern(route), service) for service, own in routes.items() for route in own}
    ordered = sorted(wanted, key=lambda own: (-own[0].count("/"), own[0].count("*"), own[0]))
    kept = []
    for number, (pattern, service) in enumerate(ordered):
        next_match = (owner for other, owner in ordered[number + 1 :] if _covers(other, pattern))
        if next(next_match, None) != service:
            kept.append((pattern, service))
    return kept


def _pattern(route: str) -> str:
    """`/agents/{id}/tasks/{taskId}` → `/agents/*/tasks*`: `*` follows the last fixed part."""
    parts = re.sub(r"\{\w+\}", "*", route).split("/")
    while parts[-1] == "*":
        parts.pop()
    return "/".join(parts) + "*"


def _covers(general: str, special: str) -> bool:
    return re.fullmatch(re.escape(general).replace(r"\*", ".*"), special) is not None
