"""Counts as CloudWatch reads them out of a function's log (the embedded metric format)."""

import json
import os
import sys
import time


def count(name: str, amount: int = 1, **dimensions: str) -> None:
    """Twice: in all, which alarms watch, and by `dimensions`."""
    sets = [[], sorted(dimensions)] if dimensions else [[]]
    directive = {
        "Namespace": os.environ.get("METRICS_NAMESPACE", "agentic"),
        "Dimensions": sets,
        "Metrics": [{"Name": name, "Unit": "Count"}],
    }
    told = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]}
    line = {"_aws": told, name: amount, **dimensions}
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
