"""What a cold start of each Lambda function imports: milliseconds and memory, as it is packaged."""

import json
import os
import statistics
import subprocess
import sys
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from infra.packaging import assemble
from infra.stage import SERVICES

REPEATS = 5
AUTHORIZER = "chalicelib.auth.authorizer.handler"
MODEL_FUNCTIONS = ("plan_task", "execute_step")
_PROBE = """
import importlib, json, sys, time
started = time.perf_counter()
module = importlib.import_module(sys.argv[1])
took = (time.perf_counter() - started) * 1000
app = getattr(module, "app", None)
names = ["api", *(f.name for f in app.pure_lambda_functions)] if app else []
known = ("boto3", "strands", "openai", "anthropic", "ariadne", "jsonschema", "jwt")
heavy = [name for name in known if name in sys.modules]
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]
print(json.dumps({"ms": took, "mb": int(peak) / 1024,
                  "functions": names, "heavy": heavy}))
"""


class Cost(NamedTuple):
    function: str
    ms: float
    mb: float
    heavy: list[str]


def measure() -> list[Cost]:
    """One measurement stands for all functions of a service that load the same modules."""
    costs: list[Cost] = []
    for service in SERVICES:
        plain = _probe(service, {})
        for name in plain.functions:
            cost = plain
            if name in MODEL_FUNCTIONS:
                cost = _probe(service, {"PRELOAD_PROVIDERS": "openai"})
            if name == "authorize":
                cost = _probe(service, {}, AUTHORIZER)
            costs.append(Cost(f"{service}.{name}", cost.ms, cost.mb, cost.heavy))
    return costs


class _Probe(NamedTuple):
    ms: float
    mb: float
    heavy: list[str]
    functions: list[str]


def _probe(service: str, variables: dict[str, str], module: str = "app") -> _Probe:
    source = assemble(service, bundle_dependencies=False)
    environment = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
        "PYTHONPATH": os.pathsep.join((str(source), str(source / "vendor"))),
        "AWS_DEFAULT_REGION": "us-east-1",
        **variables,
    }
    _run(environment, module)  # fills the caches
    runs = [_run(environment, module) for _ in range(REPEATS)]
    ms = statistics.median(float(str(run["ms"])) for run in runs)
    mb = statistics.median(float(str(run["mb"])) for run in runs)
    return _Probe(round(ms), round(mb), list(runs[0]["heavy"]), list(runs[0]["functions"]))  # type: ignore[call-overload]


def _run(environment: dict[str, str], module: str) -> dict[str, object]:
    command = [sys.executable, "-c", _PROBE, module]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    answer: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return answer


def show(costs: list[Cost]) -> None:
    table = Table("function", "ms", "MB", "loads", title="Cold import per function (median of 5)")
    for cost in costs:
        table.add_row(cost.function, str(cost.ms), str(cost.mb), ", ".join(cost.heavy))
    Console().print(table)


if __name__ == "__main__":
    show(measure())
