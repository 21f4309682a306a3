"""How long an event is on its way, from its commit to a consumer's own commit."""

import json
import statistics
import time
from datetime import datetime
from typing import Any

from infra.local.meter import units
from tests.platform import Platform, eventually

EVENTS = 100


def measure(platform: Platform) -> dict[str, float]:
    """From the time that an agent says it was created to that at which the journal has it."""
    account = platform.new_user("bench", agents=EVENTS + 10, requestsPerMinute=100_000)
    body = {
        "name": "bench",
        "configuration": {"llmProvider": "openai", "model": "none", "tools": []},
    }
    with platform.api(account) as api:
        for _ in range(EVENTS):
            api.created("/agents", body)
            time.sleep(0.02)
        rows = eventually(lambda: _rows(platform, account["userId"], EVENTS))
    assert rows, "the journal did not hear of all of them"
    warm = sorted(map(_milliseconds, rows[10:]))
    return {
        "commitToConsumerP50Ms": round(statistics.median(warm), 1),
        "commitToConsumerP99Ms": round(warm[int(len(warm) * 0.99) - 1], 1),
        "writeUnitsWithIndexPerEvent": statistics.mean(units({"Item": row}) for row in rows),
    }


def _rows(platform: Platform, user_id: str, count: int) -> list[dict[str, Any]]:
    """In the order of their creation; nothing before all are there."""
    function = platform.function("events-APIHandler")
    table = function["Environment"]["Variables"]["TABLE_NAME"]
    pages = platform.aws("dynamodb").get_paginator("query")
    asked: dict[str, Any] = {
        "TableName": table,
        "KeyConditionExpression": "PK = :user AND begins_with(SK, :event)",
        "ExpressionAttributeValues": {":user": {"S": f"USER#{user_id}"}, ":event": {"S": "EVENT#"}},
    }
    rows = [row for page in pages.paginate(**asked) for row in page["Items"]]
    return rows if len(rows) >= count else []


def _milliseconds(row: dict[str, Any]) -> float:
    began = datetime.fromisoformat(json.loads(row["detail"]["S"])["timestamp"])
    return (datetime.fromisoformat(row["recordedAt"]["S"]) - began).total_seconds() * 1000
