"""agentic-tool-notes: a user's notes. Parameters: {"action": "put|get|list", "key", "value"}.

A put is idempotent: repeated with the same key after a crash it changes nothing.
"""

import os
from functools import cache
from typing import Any

import boto3


@cache
def _table() -> Any:
    return boto3.resource("dynamodb").Table(os.environ["TABLE_NAME"])


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    owner, parameters = event["context"]["userId"], event["parameters"]
    action, key = parameters.get("action"), str(parameters.get("key") or "")
    print(action, event.get("idempotencyKey"))  # noqa: T201 - the function's log line
    if action == "list":
        found = _table().query(
            KeyConditionExpression="#owner = :owner",
            ExpressionAttributeNames={"#owner": "owner"},
            ExpressionAttributeValues={":owner": owner},
        )
        return {"notes": {item["key"]: item["value"] for item in found["Items"]}}
    if not key:
        return {"error": "key is required"}
    if action == "put":
        _table().put_item(Item={"owner": owner, "key": key, "value": str(parameters.get("value"))})
        return {"stored": key}
    found = _table().get_item(Key={"owner": owner, "key": key}, ConsistentRead=True)
    return {"key": key, "value": found["Item"]["value"] if "Item" in found else None}
