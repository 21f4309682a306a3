"""What a function answered to `$connect`: the emulator keeps to itself all but whether it was yes.

The front door runs the emulator within its own task, and so a context variable connects the two.
"""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

_answer: ContextVar[dict[str, Any] | None] = ContextVar("answer", default=None)
_EVENT_TYPE = 6
Invoke = Callable[..., Awaitable[dict[str, Any] | None]]


def listen() -> dict[str, Any]:
    """Will hold the answer to the handshake that is about to be forwarded."""
    heard: dict[str, Any] = {}
    _answer.set(heard)
    return heard


def overheard(invoke: Invoke) -> Invoke:
    """The emulator's own way to call a function for a socket, listened to."""

    async def invoke_and_tell(*args: Any, **options: Any) -> dict[str, Any] | None:
        answer = await invoke(*args, **options)
        heard = _answer.get()
        if args[_EVENT_TYPE] == "CONNECT" and heard is not None and isinstance(answer, dict):
            heard |= answer
        return answer

    return invoke_and_tell
