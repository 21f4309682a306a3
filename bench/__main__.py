"""`make bench`: measures the running platform, or one it starts; writes bench/latest.json.

`python -m bench push api` measures these again and leaves the other figures as they are.
"""

import json
import os
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import api, authorizer, conversations, events, graphql, imports, push, tasks
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
        figures = _kept(sys.argv[1:]) | _measure(Platform.from_file(), sys.argv[1:])
    finally:
        if not was_running:
            Processes(settings).stop()
    OUTPUT.write_text(json.dumps(figures, indent=2) + "\n")
    _show(figures)
    return 0


MEASURES: dict[str, Callable[[Platform], object]] = {
    "single": lambda platform: tasks.latency(platform, tasks.SINGLE),
    "planned": lambda platform: tasks.latency(platform, tasks.PLANNED),
    "message": conversations.measure,
    "concurrent50": lambda platform: tasks.concurrent(platform, 50),
    "push": push.measure,
    "events": events.measure,
    "api": api.measure,
    "graphql": graphql.measure,
    "authorizer": authorizer.measure,
    "workersMb": lambda _: tasks.worker_memory(),
    "imports": lambda _: {c.function: {"ms": c.ms, "mb": c.mb} for c in imports.measure()},
}


def _kept(chosen: Sequence[str]) -> dict[str, object]:
    return dict(json.loads(OUTPUT.read_text())) if chosen else {}


def _measure(platform: Platform, chosen: Sequence[str]) -> dict[str, object]:
    about = {
        "measuredAt": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "iam": platform.facts["iam"],
    }
    figures = {name: MEASURES[name](platform) for name in chosen or MEASURES}
    return figures if chosen else about | figures


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
