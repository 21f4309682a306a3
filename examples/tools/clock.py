"""agentic-tool-clock: the time. Parameters: {"timezone": "Europe/Paris"} (IANA; else UTC)."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    name = event["parameters"].get("timezone") or "UTC"
    print("asked for", name)  # noqa: T201 - the function's log line
    try:
        zone = UTC if name == "UTC" else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return {"error": f"There is no timezone {name}"}
    return {"time": datetime.now(zone).isoformat(timespec="seconds"), "timezone": name}
