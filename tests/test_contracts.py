"""The contracts are what consumers read, and what producers announce keeps them."""

import json
from typing import Any

import pytest
from common.events.catalogue import CATALOGUE
from pact import Verifier

from tests import contracts

pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
"""The verifier does not close the sockets of its own server."""
PRODUCERS = sorted({entry.producer for entry in CATALOGUE})
ENTRIES = {contracts.name_of(entry.event): entry for entry in CATALOGUE}


def announced(name: str, metadata: object = None, without: str = "") -> Any:
    """As the producer sends it: with everything that the event has."""
    event = ENTRIES[name].event
    body = contracts.message(event, set(event.model_fields))
    body["detail"].pop(without, None)
    return {"contents": json.dumps(body).encode(), "content_type": "application/json"}


def verify(producer: str, handler: Any = announced) -> None:
    names = [name for name, entry in ENTRIES.items() if entry.producer == producer]
    handlers = {name: lambda name=name, **_: handler(name) for name in names}
    verifier = Verifier(producer).message_handler(handlers)
    for file in sorted(contracts.CONTRACTS.glob(f"*-{producer}.json")):
        verifier.add_source(str(file))
    verifier.verify()


@pytest.mark.parametrize("service", contracts.consumers())
def test_a_contract_says_what_its_consumer_reads(service: str) -> None:
    """Else: python -m tests.contracts"""
    with contracts.written(service) as folder:
        current = {file.name: contracts.interactions(file) for file in folder.glob("*.json")}
    committed = contracts.CONTRACTS.glob(f"{service}-*.json")
    assert current == {file.name: contracts.interactions(file) for file in committed}


@pytest.mark.parametrize("producer", PRODUCERS)
def test_a_producer_keeps_all_contracts(producer: str) -> None:
    verify(producer)


def test_a_producer_that_leaves_something_out_is_found() -> None:
    with pytest.raises(RuntimeError):
        verify("tasks", lambda name: announced(name, without="agentId"))


@pytest.mark.parametrize(("consumer", "reads_result"), [("graphql", True), ("agents", False)])
def test_a_consumer_states_what_it_reads_and_no_more(consumer: str, reads_result: bool) -> None:
    file = contracts.CONTRACTS / f"{consumer}-tasks.json"
    (completed,) = [
        i for i in contracts.interactions(file) if i["description"] == "TaskCompleted V1"
    ]
    read = completed["contents"]["content"]["detail"]
    assert "agentId" in read
    assert ("result" in read) == reads_result
