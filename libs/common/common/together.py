"""Writes that wait for each other, to commit as one transaction, and rows as they will be then."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from common.actions import ANY, Action, Key, Put
from common.rows import Row, to_item, to_row

MAX_ACTIONS = 100
"""What DynamoDB takes in one transaction."""


class Apart(Exception):
    """These writes cannot be one transaction: each is to be done alone."""


class Together:
    def __init__(self) -> None:
        self.actions: dict[Key, Action] = {}

    def add(self, actions: Sequence[Action]) -> None:
        """A row may be written over again: what it has to be before is what the first one said.
        Raises Apart."""
        for action in actions:
            self.actions[action.key] = self._after_what_is_here(action)
        if len(self.actions) > MAX_ACTIONS:
            raise Apart(f"{len(self.actions)} rows are too many")

    def waiting(self, wanted: Callable[[Key], bool]) -> dict[Key, Row]:
        """Those of the rows that are wanted, as they will be read once they are written."""
        return {key: self._row(key) for key in self.actions if wanted(key)}

    def _row(self, key: Key) -> Row:
        action = self.actions[key]
        if not isinstance(action, Put):
            raise Apart(f"what becomes of {key} is not known")
        return to_row(to_item(action.row))

    def _after_what_is_here(self, action: Action) -> Action:
        before = self.actions.get(action.key)
        if before is None:
            return action
        if not (isinstance(before, Put) and isinstance(action, Put)):
            raise Apart(f"{action.key} is written in two ways")
        if action.version not in (ANY, before.row.get("version", 0)):
            raise Apart(f"{action.key} would be refused")
        return replace(action, version=before.version)
