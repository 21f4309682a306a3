"""A mutation is a request to the service that owns what it is about: it is announced once, and
answered when its effect can be read here, or with the owner's refusal."""

import hashlib
import json
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from chalicelib.graphql.models.mutations import Outcome, Rejected, StillInProgress
from chalicelib.graphql.repository.requests import RequestRepository
from common.clock import new_id
from common.errors import TooLarge
from common.events.base import Event
from common.events.requests import Request, RequestRejectedV1
from common.principals import Principal

MAX_INPUT_BYTES = 150 * 1024
"""An event may have 256 KB; an agent's configuration 100 KB."""
POLL_SECONDS = 0.03
ABOUT = ("approval_id", "task_id", "agent_id")
"""What a request may be about, the closest first."""


@dataclass(frozen=True)
class Mutations:
    """Those of one GraphQL request, which together are waited for until one moment."""

    requests: RequestRepository
    caller: Principal
    key: str | None
    patience: float
    started: float = field(default_factory=time.monotonic)

    def carried_out(
        self, kind: type[Request], name: str, mutation_id: str | None, **asked: Any
    ) -> str:
        """The id of what it is about. Raises Rejected or StillInProgress. `name` tells mutations
        of one document apart, which may have one Idempotency-Key."""
        told = json.dumps([kind.__name__, asked], sort_keys=True)
        if len(told.encode()) > MAX_INPUT_BYTES:
            raise TooLarge(f"The input is larger than {MAX_INPUT_BYTES} bytes")
        request_id = self._id(kind, name, mutation_id)
        request = kind(
            event_id=request_id,
            caller=self.caller.as_authorizer_context(),
            user_id=self.caller.user_id,
            aggregate_id=next((asked[name] for name in ABOUT if name in asked), request_id),
            aggregate_version=0,
            **asked,
        )
        self.requests.add(request, hashlib.sha256(told.encode()).hexdigest())
        outcome = self._awaited(request_id)
        if outcome.object_id is None:
            raise Rejected(outcome)
        return outcome.object_id

    def _id(self, kind: type[Request], name: str, mutation_id: str | None) -> str:
        """The same for what is the same: that is how a request is known to come again."""
        if mutation_id is None and self.key is None:
            return new_id()
        key = [f"header {name} {self.key}", f"mutation {mutation_id}"][mutation_id is not None]
        scope = f"{self.caller.user_id} {kind.__name__} {key}"
        return str(uuid.UUID(bytes=hashlib.sha256(scope.encode()).digest()[:16]))

    def _awaited(self, request_id: str) -> Outcome:
        while (outcome := self.requests.outcome(request_id)) is None:
            if time.monotonic() > self.started + self.patience:
                raise StillInProgress("It was accepted; its effect is not to be seen yet")
            time.sleep(POLL_SECONDS)
        return outcome


def note_effect(requests: RequestRepository, event: Event, object_id: str) -> None:
    """To be called when the event's effect can be read."""
    if event.causation_id:
        requests.settle(event.causation_id, Outcome(object_id=object_id))


def note_refusal(requests: RequestRepository, event: RequestRejectedV1) -> None:
    refused = Outcome(code=event.code, message=event.message, details=event.details)
    requests.settle(event.aggregate_id, refused)
