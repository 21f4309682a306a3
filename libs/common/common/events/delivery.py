"""How events are delivered, and how that ends: what infra and consumers must agree on."""

MAX_RECEIVES = 5
"""Deliveries of one event to one consumer; after the last it is a dead letter."""
MAX_DEPTH = 8
"""Events that led to each other, one after the other: more is a storm, not a story."""
MAX_BODY_BYTES = 256 * 1024


class Undeliverable(Exception):
    """No delivery of this event can ever succeed: it goes to the dead letters at once.

    `reason` is what operators count and look for; the message says more and holds nothing secret.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def require_owner(said: str, known: str) -> None:
    """Whose an event says that its subject is must be whose it is known to be here."""
    if said != known:
        raise Undeliverable("WrongOwner", "what it is about has another owner")
