"""What is told of a step's calls of tools; all of it is in the task's trace."""

import json
from collections.abc import Collection

from chalicelib.tasks.models.journal import ToolCall
from chalicelib.tasks.models.plans import step_id
from common.events.tasks import ToolInvocation

MOST_CHARS = 1_000
"""Of the parameters of a call, and of its output."""
CHARS_OF_ALL = 10_000
"""Escaped in JSON a character takes up to six bytes, and an event may have 256 KB."""


def told_of(index: int, calls: Collection[ToolCall]) -> list[ToolInvocation] | None:
    """In the order in which they began; None if there are none."""
    most = min(MOST_CHARS, CHARS_OF_ALL // max(1, len(calls)))
    began = sorted(calls, key=lambda call: call.started_at)
    return [_told(index, call, most) for call in began] or None


def _told(index: int, call: ToolCall, most: int) -> ToolInvocation:
    is_short = len(json.dumps(call.parameters)) <= most
    return ToolInvocation(
        id=call.key,
        step=step_id(index),
        tool=call.tool,
        parameters=call.parameters if is_short else None,
        status=call.status.value,
        output=call.output[:most] if call.output else call.output,
        output_truncated=len(call.output or "") > most,
        started_at=call.started_at,
        completed_at=call.completed_at,
        duration_ms=call.duration_ms,
    )
