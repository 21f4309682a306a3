"""Counts and measurements, as CloudWatch reads them out of a function's log (the embedded metric
format)."""

import json
import os
import sys
import time


def count(name: str, amount: int = 1, **dimensions: str) -> None:
    """Twice: in all, which alarms watch, and by `dimensions`."""
    _tell(name, amount, "Count", dimensions)


def measure(name: str, value: float, unit: str, **dimensions: str) -> None:
    """`unit` is CloudWatch's: Seconds, Milliseconds, Count."""
    _tell(name, value, unit, dimensions)


def _tell(name: str, value: float, unit: str, dimensions: dict[str, str]) -> None:
    sets = [[], sorted(dimensions)] if dimensions else [[]]
    directive = {
        "Namespace": os.environ.get("METRICS_NAMESPACE", "agentic"),
        "Dimensions": sets,
        "Metrics": [{"Name": name, "Unit": unit}],
    }
    told = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]}
    line = {"_aws": told, name: value, **dimensions}
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
