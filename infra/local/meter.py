"""Counts what the platform asks of AWS, when the benchmarks switch it on."""

import json
import math
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Asgi = Callable[[Message, Any, Any], Awaitable[None]]


class Meter:
    """Calls by operation, and DynamoDB write units estimated from the sizes of the items written:
    one per KB and index entry, twice that in a transaction, one for a delete."""

    def __init__(self, application: Asgi) -> None:
        self._application = application
        self._on = False
        self._calls: Counter[str] = Counter()
        self._write_units = 0

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        if self._on and scope["type"] == "http":
            receive = self._counting(_operation(scope), receive)
        await self._application(scope, receive, send)

    def read_and_restart(self, on: bool) -> dict[str, object]:
        counted = {"calls": dict(self._calls), "writeUnits": self._write_units}
        self._on, self._calls, self._write_units = on, Counter(), 0
        return counted

    def _counting(self, operation: str, receive: Any) -> Any:
        self._calls[operation] += 1
        body = bytearray()

        async def counted() -> Message:
            message: Message = await receive()
            body.extend(message.get("body", b""))
            if operation.startswith("DynamoDB_") and body and not message.get("more_body"):
                self._write_units += _write_units(json.loads(body))
                body.clear()
            return message

        return counted


def _operation(scope: Message) -> str:
    headers = dict(scope["headers"])
    target = headers.get(b"x-amz-target")
    return target.decode() if target else f"{scope['method']} {scope['path'].split('/')[1]}"


def _write_units(request: dict[str, Any]) -> int:
    if "TransactItems" in request:
        actions = [action for item in request["TransactItems"] for action in item.values()]
        return sum(2 * units(action) for action in actions)
    if "RequestItems" in request:
        batches = [batch for batch in request["RequestItems"].values() if isinstance(batch, list)]
        return sum(units(write.get("PutRequest", {})) for batch in batches for write in batch)
    is_write = request.keys() & {"Item", "ConditionExpression", "UpdateExpression"}
    return units(request) if is_write else 0


def units(write: dict[str, Any]) -> int:
    item = write.get("Item")
    if item is None:
        return 1
    size = sum(len(name) + len(str(next(iter(value.values())))) for name, value in item.items())
    return math.ceil(size / 1024) * (2 if "GSI1PK" in item else 1)
