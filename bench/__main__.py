"""`make bench`: measures the running platform, or one it starts; writes bench/latest.json."""

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import api, authorizer, imports, push, tasks
from infra.local.processes import Processes
from infra.local.settings import Settings
from tests.platform import Platform

OUTPUT = Path(__file__).parent / "latest.json"


def main() -> int:
    settings = Settings.from_environment()
    was_running = len(Processes(settings).running()) == 3
    if not was_running and os.spawnlp(os.P_WAIT, "make", "make", "up"):
        return 1
    try:
        figures = _measure(Platform.from_file())
    finally:
        if not was_running:
            Processes(settings).stop()
    OUTPUT.write_text(json.dumps(figures, indent=2) + "\n")
    _show(figures)
    return 0


def _measure(platform: Platform) -> dict[str, object]:
    costs = imports.measure()
    return {
        "measuredAt": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "iam": platform.facts["iam"],
        "single": tasks.latency(platform, tasks.SINGLE),
        "planned": tasks.latency(platform, tasks.PLANNED),
        "concurrent50": tasks.concurrent(platform, 50),
        "push": push.measure(platform),
        "api": api.measure(platform),
        "authorizer": authorizer.measure(platform),
        "workersMb": tasks.worker_memory(),
        "imports": {cost.function: {"ms": cost.ms, "mb": cost.mb} for cost in costs},
    }


def _show(figures: dict[str, object]) -> None:
    table = Table("measure", "figure", title=f"Written to bench/{OUTPUT.name}")
    for name, value in figures.items():
        inner = value.items() if isinstance(value, dict) else [("", value)]
        for key, figure in inner:
            shown = json.dumps(figure) if isinstance(figure, dict) else str(figure)
            table.add_row(f"{name} {key}".strip(), shown)
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
