"""Requests that were handed to their owners, and what became of them."""

import json

from chalicelib.graphql.models.mutations import Outcome
from common.clock import epoch_in
from common.dynamo import ANY, Put, Table
from common.errors import Conflict, IdempotencyMismatch
from common.events.requests import Request

KEPT_SECONDS = 24 * 3600


class RequestRepository:
    def __init__(self, table: Table) -> None:
        self._table = table

    def add(self, request: Request, fingerprint: str) -> None:
        """Announces it, unless it was before. Raises IdempotencyMismatch if its id stands for
        another one."""
        key = {"PK": f"REQUEST#{request.event_id}", "SK": "REQUEST"}
        row = key | {"fingerprint": fingerprint, "TTL": epoch_in(KEPT_SECONDS)}
        try:
            self._table.write(Put(row), events=[request])
        except Conflict:
            known = self._table.get(key["PK"], key["SK"])
            if known and known["fingerprint"] != fingerprint:
                message = "This clientMutationId was used for a different mutation"
                raise IdempotencyMismatch(message) from None

    def settle(self, request_id: str, outcome: Outcome) -> None:
        row = {
            "PK": f"REQUEST#{request_id}",
            "SK": "OUTCOME",
            "outcome": json.dumps(outcome.wire()),
            "TTL": epoch_in(KEPT_SECONDS),
        }
        self._table.write(Put(row, version=ANY))

    def outcome(self, request_id: str) -> Outcome | None:
        row = self._table.get(f"REQUEST#{request_id}", "OUTCOME")
        return Outcome.from_client(row["outcome"]) if row else None
