"""Events in: one queue-fed Lambda per service that hands each event to its typed function."""

import json
import logging
from collections.abc import Callable
from typing import Any, TypeVar

from chalice.app import Chalice

from common.context import correlation_id
from common.dynamo import AlreadyHandled
from common.events.base import Event

E = TypeVar("E", bound=Event)
log = logging.getLogger(__name__)


class Consumers:
    """The events a service listens to: each arrives at least once, in any order."""

    def __init__(self) -> None:
        self.functions: dict[type[Event], Callable[[Any], None]] = {}

    def on(self, event: type[E]) -> Callable[[Callable[[E], None]], Callable[[E], None]]:
        def register(function: Callable[[E], None]) -> Callable[[E], None]:
            self.functions[event] = function
            return function

        return register

    def lambda_function(self, app: Chalice) -> Callable[..., Any]:
        """The Lambda `consume`: an SQS batch of bus events, answered with the records that failed.

        A failed record comes back after the queue's visibility timeout and ends in the dead
        letters; the others of its batch are done.
        """

        def consume(event: dict[str, Any], _context: object) -> dict[str, Any]:
            failed = [record for record in event["Records"] if not self._handled(record)]
            return {"batchItemFailures": [{"itemIdentifier": r["messageId"]} for r in failed]}

        return app.lambda_function(name="consume")(consume)  # type: ignore[no-any-return]

    def _handled(self, record: dict[str, Any]) -> bool:
        try:
            self.dispatch(json.loads(record["body"]))
        except AlreadyHandled:
            log.info("event was handled before", extra={"messageId": record["messageId"]})
        except Exception:  # one bad record must not fail its batch; it goes to the dead letters
            log.exception("event failed", extra={"messageId": record["messageId"]})
            return False
        return True

    def dispatch(self, envelope: dict[str, Any]) -> None:
        """Raises LookupError for an event or a version nobody here listens to."""
        wire_name = f"{envelope['detail-type']}V{envelope['detail']['version']}"
        for event, function in self.functions.items():
            if event.__name__ == wire_name and event.source == envelope["source"]:
                fact = event.model_validate(envelope["detail"])
                correlation_id.set(fact.correlation_id)
                function(fact)
                return
        raise LookupError(f"no consumer for {wire_name} from {envelope['source']}")
