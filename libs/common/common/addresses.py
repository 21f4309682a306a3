"""Where a request comes from."""

from collections.abc import Mapping
from typing import Any


def client_address(context: Mapping[str, Any], headers: Mapping[str, str]) -> str:
    return str((context.get("identity") or {}).get("sourceIp") or "unknown")
