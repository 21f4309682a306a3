"""What the simulator was asked, and how long it took over it."""

import json
import time
from collections import Counter, deque
from dataclasses import dataclass

from .exchange import Json

_ENTRIES = 20_000
_BODY_BYTES = 1_000_000


@dataclass(slots=True)
class Entry:
    """The body stays bytes: thousands of parsed ones would fill the memory."""

    index: int
    model: str
    provider: str
    path: str
    received_at: float
    headers: dict[str, str]
    raw: bytes
    duration_ms: float | None = None

    def shown(self) -> Json:
        return {
            "index": self.index,
            "model": self.model,
            "provider": self.provider,
            "path": self.path,
            "receivedAt": self.received_at,
            "durationMs": self.duration_ms,
            "headers": self.headers,
            "body": _readable(self.raw),
        }


class RequestLog:
    """Keeps the latest requests; the statistics count all since the last clear."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=_ENTRIES)
        self._last = 0
        self._requests: Counter[str] = Counter()
        self._busy_ms: dict[str, float] = {}

    def open(
        self, *, model: str, provider: str, path: str, headers: dict[str, str], raw: bytes
    ) -> Entry:
        self._last += 1
        kept = raw[:_BODY_BYTES]
        entry = Entry(self._last, model, provider, path, time.time(), headers, kept)
        self._entries.append(entry)
        self._requests[model] += 1
        return entry

    def close(self, entry: Entry, duration_ms: float) -> None:
        entry.duration_ms = duration_ms
        self._busy_ms[entry.model] = self._busy_ms.get(entry.model, 0) + duration_ms

    def after(self, index: int, model: str | None) -> list[Json]:
        return [
            entry.shown()
            for entry in self._entries
            if entry.index > index and model in (None, entry.model)
        ]

    def stats(self, model: str | None) -> Json:
        if model is None:
            return {"requests": self._requests.total(), "busyMs": sum(self._busy_ms.values())}
        return {"requests": self._requests[model], "busyMs": self._busy_ms.get(model, 0)}

    def clear(self) -> None:
        """Indexes go on counting, so that an `after` noted earlier stays true."""
        self._entries.clear()
        self._requests.clear()
        self._busy_ms.clear()


def _readable(raw: bytes) -> object:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return raw.decode("utf-8", "replace")
