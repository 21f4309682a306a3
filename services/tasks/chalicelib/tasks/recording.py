"""Every answer of the model goes into the journal before anything is done about it."""

from typing import Any

from chalicelib.tasks.models.journal import Message, Turn
from chalicelib.tasks.repository import Journal
from strands.hooks import AfterModelCallEvent, HookProvider, HookRegistry

_WHOLE = ("end_turn", "tool_use", "stop_sequence")


class Recorder(HookProvider):
    """`known` counts the messages that the agent started with: they are on record already, or can
    be told from what is."""

    def __init__(self, journal: Journal, known: int) -> None:
        self._journal = journal
        self._known = known

    def register_hooks(self, registry: HookRegistry, **_: Any) -> None:
        registry.add_callback(AfterModelCallEvent, self._after_call)

    def _after_call(self, event: AfterModelCallEvent) -> None:
        said = event.stop_response
        if said is None or said.stop_reason not in _WHOLE:
            return
        messages: list[Any] = [*event.agent.messages[self._known :], said.message]
        self._journal.add_turn(Turn(messages=messages))
        self._known += len(messages)


def replayed(journal: Journal) -> list[Message]:
    return [message for turn in journal.turns for message in turn.messages]


def asks_for_tools(message: Message) -> bool:
    return any("toolUse" in block for block in message["content"])
