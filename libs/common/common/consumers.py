"""Events in: one queue-fed Lambda per service that hands each event to its typed function."""

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

from chalice.app import Chalice
from pydantic import ValidationError

from common import metrics, tracing
from common.actions import Key
from common.context import correlation_id
from common.dead_letters import attempts_of
from common.dynamo import AlreadyHandled
from common.events.base import Event
from common.events.delivery import MAX_BODY_BYTES, MAX_DEPTH, MAX_RECEIVES, Undeliverable
from common.service import dead_letters, table
from common.together import Apart

E = TypeVar("E", bound=Event)
Afterwards = Callable[[], None]
"""What is left to do once what a function wrote is there."""
log = logging.getLogger(__name__)


class Delivery:
    """One record of a batch, and what became of it."""

    def __init__(self, record: dict[str, Any]) -> None:
        self.record = record
        self.settled = True

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """What is raised is this record's: one bad record must not fail its batch."""
        about = {"messageId": self.record["messageId"], "attempt": attempts_of(self.record)}
        try:
            yield
        except AlreadyHandled:
            log.info("event was handled before", extra=about)
        except Undeliverable as refused:
            log.exception("event is undeliverable", extra=about | {"reason": refused.reason})
            self.settled = _buried(self.record, refused.reason, str(refused))
        except Exception as error:
            log.exception("event failed", extra=about)
            is_last = attempts_of(self.record) >= MAX_RECEIVES
            self.settled = is_last and _buried(self.record, type(error).__name__, str(error))


class Consumers:
    """The events a service listens to: each arrives at least once, in any order."""

    def __init__(self) -> None:
        self.functions: dict[type[Event], Callable[[Any], Afterwards | None]] = {}
        self._together: set[type[Event]] = set()
        self._keys_of: Callable[[Event], Iterable[Key]] = lambda _event: ()
        self._finish: Callable[[Sequence[Event]], None] = lambda _events: None

    def on(self, event: type[E]) -> Callable[[Callable[[E], None]], Callable[[E], None]]:
        def register(function: Callable[[E], None]) -> Callable[[E], None]:
            self.functions[event] = function
            return function

        return register

    def together(self, event: type[E], function: Callable[[E], Afterwards]) -> None:
        """Like `on`, but what the function writes commits with what others of the batch write. It
        may do nothing else before it answers with what is left to do; if one of them fails, or a
        row refuses, each is carried out again alone."""
        self.functions[event] = function
        self._together.add(event)

    def reads(self, keys_of: Callable[[Event], Iterable[Key]]) -> None:
        """The rows that an event's function reads first: they are read at once for a batch."""
        self._keys_of = keys_of

    def finish(self, function: Callable[[Sequence[Event]], None]) -> None:
        """What is done at once for all events of a batch that were carried out. If it fails it is
        done for each, and those for which it fails come again."""
        self._finish = function

    def lambda_function(self, app: Chalice) -> Callable[..., Any]:
        """The Lambda `consume`: an SQS batch of bus events, answered with the records that failed.

        A failed record comes back after the queue's visibility timeout. After its last delivery,
        or at once if no delivery can succeed, it goes to the dead letters with the reason; the
        others of its batch are done.
        """

        def consume(event: dict[str, Any], _context: object) -> dict[str, Any]:
            deliveries = [Delivery(record) for record in event["Records"]]
            self._deliver(deliveries)
            failed = [each.record["messageId"] for each in deliveries if not each.settled]
            return {"batchItemFailures": [{"itemIdentifier": each} for each in failed]}

        return app.lambda_function(name="consume")(consume)  # type: ignore[no-any-return]

    def _deliver(self, deliveries: Sequence[Delivery]) -> None:
        told: list[tuple[Delivery, Event]] = []
        done: list[tuple[Delivery, Event]] = []
        for delivery in deliveries:
            with delivery.attempt():
                told.append((delivery, self._fact(delivery.record["body"])))
        with ExitStack() as reading:
            self._read_ahead(reading, [fact for _, fact in told])
            begun = self._begin_together([fact for _, fact in told])
            for delivery, fact in told:
                with delivery.attempt():
                    correlation_id.set(fact.correlation_id)
                    begun.get(fact.event_id, partial(self._carry_out, fact))()
                    done.append((delivery, fact))
        self._finish_all(done)

    def _read_ahead(self, reading: ExitStack, facts: Sequence[Event]) -> None:
        """What cannot be read for all, because of one of them maybe, is read by each."""
        if len(facts) < 2:
            return
        try:
            if keys := {key for fact in facts for key in self._keys_of(fact)}:
                reading.enter_context(table().ahead(keys))
        except Exception:
            log.exception("could not read ahead", extra={"events": len(facts)})

    def _begin_together(self, facts: Sequence[Event]) -> Mapping[str, Afterwards]:
        """What is left to do for each event whose function wrote together with the others'. What
        cannot be written for all, because of one of them maybe, is left to each."""
        chosen = [fact for fact in facts if type(fact) in self._together]
        if len(chosen) < 2:
            return {}
        try:
            with table().together():
                return {fact.event_id: self._begin(fact) for fact in chosen}
        except Apart as refused:
            log.info("each alone", extra={"events": len(chosen), "because": str(refused)})
        except Exception:
            log.exception("could not begin the batch at once", extra={"events": len(chosen)})
        return {}

    def _begin(self, fact: Event) -> Afterwards:
        """What is left to do is part of the same trace."""
        with _following(fact):
            afterwards = self.functions[type(fact)](fact)
            assert afterwards, "who writes together says what is left to do"
            return partial(copy_context().run, afterwards)

    def _finish_all(self, done: Sequence[tuple[Delivery, Event]]) -> None:
        """What cannot be done for all, because of one of them maybe, is done for each."""
        try:
            self._finish([fact for _, fact in done])
        except Exception:
            log.exception("could not finish the batch at once", extra={"events": len(done)})
            for delivery, fact in done:
                with delivery.attempt():
                    self._finish([fact])

    def _carry_out(self, fact: Event) -> None:
        with _following(fact):
            if afterwards := self.functions[type(fact)](fact):
                afterwards()

    def _fact(self, body: str) -> Event:
        """Raises Undeliverable for what is no event, or none that anybody here listens to."""
        envelope = _envelope(body)
        event = self._named(envelope)
        try:
            fact = event.model_validate(envelope["detail"])
        except ValidationError as error:
            wrong = sorted({".".join(map(str, each["loc"])) for each in error.errors()})
            raise Undeliverable("InvalidFields", f"not as promised: {', '.join(wrong)}") from error
        if fact.depth > MAX_DEPTH:
            metrics.count("CausationDepthExceeded", event=event.__name__)
            message = f"{fact.depth} events led to it, {MAX_DEPTH} may"
            raise Undeliverable("CausationTooDeep", message)
        return fact

    def _named(self, envelope: Mapping[str, Any]) -> type[Event]:
        name, version = envelope.get("detail-type"), envelope["detail"].get("version")
        same_name = [event for event in self.functions if event.detail_type() == name]
        found = [event for event in same_name if event.schema_version() == version]
        if not same_name:
            raise Undeliverable("UnknownEvent", f"nobody here listens to {name!r}")
        if not found:
            raise Undeliverable("UnknownVersion", f"nobody here knows version {version!r} of it")
        if found[0].source != envelope.get("source"):
            raise Undeliverable("ForgedSource", f"it never comes from {envelope.get('source')!r}")
        return found[0]


@contextmanager
def _following(fact: Event) -> Iterator[None]:
    correlation_id.set(fact.correlation_id)
    with tracing.continued(fact.traceparent), tracing.span(*_of_delivery(fact)):
        yield


def _of_delivery(fact: Event) -> tuple[str, tracing.Kind, dict[str, tracing.Value]]:
    about: dict[str, tracing.Value] = {
        "messaging.system": "aws_sqs",
        "messaging.operation.type": "process",
        "messaging.message.id": fact.event_id,
    }
    return f"process {fact.detail_type()}", tracing.Kind.CONSUMER, about


def _envelope(body: str) -> Mapping[str, Any]:
    try:
        envelope = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Undeliverable("NotJson", "the body is not JSON") from error
    if not isinstance(envelope, dict) or not isinstance(envelope.get("detail"), dict):
        raise Undeliverable("NoEnvelope", "the body is not an event of the bus")
    if len(body) > MAX_BODY_BYTES and _size(envelope) > MAX_BODY_BYTES:
        raise Undeliverable("TooLarge", f"more than {MAX_BODY_BYTES} bytes")
    return envelope


def _size(envelope: Mapping[str, Any]) -> int:
    """As the bus counts: on the way every character may have been written as an escape."""
    return len(json.dumps(envelope, ensure_ascii=False).encode(errors="replace"))


def _buried(record: Mapping[str, Any], reason: str, message: str) -> bool:
    """Whether that worked; if not, the queue itself moves the record, without the reason."""
    try:
        dead_letters().bury(record, reason, message)
    except Exception:  # whatever it was: the record must not be lost, nor fail its batch
        log.exception("the dead letters are out of reach")
        return False
    return True
