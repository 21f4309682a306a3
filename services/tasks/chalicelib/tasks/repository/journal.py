"""The journal of what an agent does: `JOURNAL#<owner>`, sorted by step, then by what came first."""

import json
from itertools import groupby

from chalicelib.tasks.models.journal import Place, ToolCall, Turn
from chalicelib.tasks.repository.parts import in_parts, joined
from common.clock import epoch_in
from common.dynamo import Put, Table
from common.rows import Row

KEPT_SECONDS = 90 * 24 * 3600


class Journals:
    def __init__(self, table: Table) -> None:
        self._table = table

    def open(self, owner: str, scope: str) -> "Journal":
        return self._journal(owner, scope, self._rows(owner, f"{scope}#"))

    def open_all(self, owner: str, scopes: list[str]) -> list["Journal"]:
        """Of scopes in their order, read at once with all that is between them."""
        found = self._rows(owner, f"{scopes[-1]}#", after=scopes[0])
        by_scope = {scope: list(rows) for scope, rows in groupby(found, key=_scope)}
        return [self._journal(owner, scope, by_scope.get(scope, [])) for scope in scopes]

    def _journal(self, owner: str, scope: str, rows: list[Row]) -> "Journal":
        turns = [_turn(row) for row in joined(_of(rows, "TURN"), "messages")]
        calls = [_call(row) for row in joined(_of(rows, "CALL"), "output")]
        return Journal(self._table, owner, scope, turns, {call.key: call for call in calls})

    def calls(self, owner: str) -> list[ToolCall]:
        """Every use of a tool, in the order in which they began."""
        rows = joined(_of(self._rows(owner, ""), "CALL"), "output")
        return sorted((_call(row) for row in rows), key=lambda call: call.started_at)

    def turns(self, owner: str) -> dict[str, list[Turn]]:
        """Every answer of the model, by step."""
        found: dict[str, list[Turn]] = {}
        for row in joined(_of(self._rows(owner, ""), "TURN"), "messages"):
            found.setdefault(_scope(row), []).append(_turn(row))
        return found

    def call(self, owner: str, key: str) -> ToolCall | None:
        return next((call for call in self.calls(owner) if call.key == key), None)

    def put_call(self, owner: str, call: ToolCall) -> None:
        _put(self._table, owner, call)

    def remove_call(self, owner: str, call: ToolCall) -> None:
        self._table.delete(f"JOURNAL#{owner}", f"{call.step}#CALL#{call.key}")

    def purge(self, owner: str) -> None:
        self._table.delete_batch([(row["PK"], row["SK"]) for row in self._rows(owner, "")])

    def _rows(self, owner: str, prefix: str, after: str | None = None) -> list[Row]:
        rows, start = [], None
        while True:
            page = self._table.query(f"JOURNAL#{owner}", prefix=prefix, after=after, start=start)
            rows += page.rows
            start = page.position
            if not start:
                return rows


class Journal:
    """One step's part, as it was when it was opened and as it is added to since."""

    def __init__(
        self, table: Table, owner: str, scope: str, turns: list[Turn], calls: dict[str, ToolCall]
    ) -> None:
        self.owner = owner
        self.scope = scope
        self.turns = turns
        self.calls = calls
        self._table = table

    @property
    def tokens(self) -> int:
        return sum(turn.tokens for turn in self.turns)

    def place(self, use: str) -> Place:
        return Place(owner=self.owner, scope=self.scope, turn=len(self.turns), use=use)

    def add_turn(self, turn: Turn) -> None:
        """Raises Conflict if another execution of the step was faster: only one may go on."""
        number = len(self.turns)
        row = {
            "PK": f"JOURNAL#{self.owner}",
            "SK": f"{self.scope}#TURN#{number:04d}",
            "messages": json.dumps(turn.messages),
            "TTL": epoch_in(KEPT_SECONDS),
        }
        self._table.write(*[Put(part) for part in in_parts(row, "messages")])
        self.turns.append(turn)

    def begin(self, call: ToolCall) -> None:
        """Raises Conflict if it began already, in another execution of the step."""
        if call.key not in self.calls:
            self._table.write(Put(_call_row(self.owner, call)))
        self.calls[call.key] = call

    def end(self, call: ToolCall) -> None:
        _put(self._table, self.owner, call)
        self.calls[call.key] = call


def _put(table: Table, owner: str, call: ToolCall) -> None:
    """The last row first: with the first one the call counts as ended."""
    for row in reversed(in_parts(_call_row(owner, call), "output")):
        table.put(row)


def _scope(row: Row) -> str:
    return str(row["SK"]).partition("#")[0]


def _of(rows: list[Row], kind: str) -> list[Row]:
    return [row for row in rows if row["SK"].split("#")[1] == kind]


def _turn(row: Row) -> Turn:
    return Turn(messages=json.loads(row["messages"]))


def _call_row(owner: str, call: ToolCall) -> Row:
    return {
        "PK": f"JOURNAL#{owner}",
        "SK": f"{call.step}#CALL#{call.key}",
        "tool": call.tool,
        "parameters": json.dumps(call.parameters),
        "status": call.status.value,
        "output": call.output,
        "startedAt": call.started_at,
        "completedAt": call.completed_at,
        "durationMs": call.duration_ms,
        "TTL": epoch_in(KEPT_SECONDS),
    }


def _call(row: Row) -> ToolCall:
    step, _, key = row["SK"].split("#")
    names = ("tool", "status", "output", "startedAt", "completedAt", "durationMs")
    fields = {name: row.get(name) for name in names}
    parameters = json.loads(row["parameters"])
    return ToolCall.model_validate(fields | {"key": key, "step": step, "parameters": parameters})
