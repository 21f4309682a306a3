"""Dead letters: collected from every service's queue, shown, and sent back."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from chalicelib.events.models.dead_letters import (
    DeadLetter,
    LettersQuery,
    LetterStatus,
    Redriven,
    RedriveRequest,
)
from chalicelib.events.repository.dead_letters import DeadLetterRepository
from common import metrics
from common.cursors import Position
from common.errors import Conflict

MOST_AT_ONCE = 500
_PAGE = 100


class Queues(Protocol):
    def send(self, name: str, body: str) -> None: ...


def collect(letters: DeadLetterRepository, record: Mapping[str, Any], consumer: str) -> None:
    """The letter and the announcement of the error are written together."""
    letter = DeadLetter.of(record, consumer)
    letters.add(letter, *([letter.error] if letter.error else []))
    metrics.count("DeadLetters", consumer=consumer)


def list_letters(
    letters: DeadLetterRepository, wanted: LettersQuery, limit: int, start: Position | None
) -> tuple[list[DeadLetter], Position | None]:
    """The consumer is filtered within a page: an empty page with a position is not the end."""
    found, position = letters.page(wanted.status, limit, start)
    return [letter for letter in found if wanted.passes(letter)], position


def redrive(letters: DeadLetterRepository, queues: Queues, request: RedriveRequest) -> Redriven:
    """Sends and then says so: if it breaks off in between, what is sent again is sent twice, and
    consumers take everything once."""
    sent: list[str] = []
    skipped: dict[str, str] = {}
    for letter_id, letter in _chosen(letters, request):
        if len(sent) == MOST_AT_ONCE:
            return Redriven(redriven=sent, skipped=skipped, more=True)
        why_not = _redrive(letters, queues, letter)
        if why_not:
            skipped[letter_id] = why_not
        else:
            sent.append(letter_id)
    return Redriven(redriven=sent, skipped=skipped)


def _redrive(
    letters: DeadLetterRepository, queues: Queues, letter: DeadLetter | None
) -> str | None:
    """Why it was not sent, if it was not."""
    if letter is None:
        return "it does not exist"
    if letter.status == LetterStatus.REDRIVEN:
        return "it was redriven before"
    if letter.queue is None:
        return "there is no queue to send it to"
    queues.send(letter.queue, letter.body)
    try:
        letters.replace(letter, letter.redriven())
    except Conflict:
        return "it was redriven before"
    return None


def _chosen(
    letters: DeadLetterRepository, request: RedriveRequest
) -> Iterator[tuple[str, DeadLetter | None]]:
    for letter_id in dict.fromkeys(request.ids or ()):
        yield letter_id, letters.get(letter_id)
    if request.ids is None:
        for letter in _all(letters, LettersQuery(consumer=request.consumer)):
            yield letter.id, letters.get(letter.id)


def _all(letters: DeadLetterRepository, wanted: LettersQuery) -> list[DeadLetter]:
    """As they are now: what is redriven leaves the list that is read."""
    found: list[DeadLetter] = []
    start: Position | None = None
    while True:
        page, start = list_letters(letters, wanted, _PAGE, start)
        found += page
        if not start or len(found) > MOST_AT_ONCE:
            return found
