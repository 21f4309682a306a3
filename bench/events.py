"""How long an event is on its way, from its commit to a consumer's own commit."""

import statistics
import time
from datetime import datetime
from typing import Any

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
        arrived = eventually(lambda: _delays(platform, account["userId"], EVENTS))
    assert arrived, "the journal did not hear of all of them"
    warm = sorted(arrived[10:])
    return {
        "commitToConsumerP50Ms": round(statistics.median(warm), 1),
        "commitToConsumerP99Ms": round(warm[int(len(warm) * 0.99) - 1], 1),
    }


def _delays(platform: Platform, user_id: str, count: int) -> list[float]:
    """In milliseconds, in the order of their creation; nothing before all are there."""
    function = platform.function("events-APIHandler")
    table = function["Environment"]["Variables"]["TABLE_NAME"]
    pages = platform.aws("dynamodb").get_paginator("query")
    asked: dict[str, Any] = {
        "TableName": table,
        "KeyConditionExpression": "PK = :user AND begins_with(SK, :event)",
        "ExpressionAttributeValues": {":user": {"S": f"USER#{user_id}"}, ":event": {"S": "EVENT#"}},
    }
    rows = [row for page in pages.paginate(**asked) for row in page["Items"]]
    return [_milliseconds(row) for row in rows] if len(rows) >= count else []


def _milliseconds(row: dict[str, Any]) -> float:
    began, ended = (datetime.fromisoformat(row[name]["S"]) for name in ("timestamp", "recordedAt"))
    return (ended - began).total_seconds() * 1000
