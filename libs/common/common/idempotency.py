"""Requests that a client may send twice: what was answered the first time is answered again."""

import json
from dataclasses import dataclass, replace
from typing import Protocol

from chalice.app import ChaliceUnhandledError


class Answer(Protocol):
    """Whatever has a form for clients."""

    def wire(self) -> dict[str, object]: ...


class Replayed(ChaliceUnhandledError):
    """The request was carried out before, and answered like this."""

    def __init__(self, answer: "Once") -> None:
        super().__init__("replayed")
        self.answer = answer


@dataclass(frozen=True)
class Once:
    """A client's promise that two requests with this key are one, and what was answered."""

    key: str
    request_hash: str
    status: int = 0
    body: str = ""
    etag: str = ""

    def answering(self, status: int, body: Answer, etag: str = "") -> "Once":
        return replace(self, status=status, body=json.dumps(body.wire()), etag=etag)
