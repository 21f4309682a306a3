"""How a version that would break its readers comes to live beside the one that they rely on."""

import json
from types import SimpleNamespace
from typing import Any, ClassVar

from common.consumers import Consumers
from common.events.base import Event
from common.events.schemas import schema
from common.http import ServiceApp
from common.service import table

from docs.compatibility import breaks
from tests.service import Service, bus_envelope, running


class ParcelSentV1(Event):
    """A parcel left us; its weight is in grams."""

    source: ClassVar[str] = "example.parcels"

    parcel_id: str
    weight: int


class ParcelSentV2(Event):
    """A parcel left us; its weight is in kilograms."""

    source: ClassVar[str] = "example.parcels"

    parcel_id: str
    kilograms: float


def send(parcel_id: str, grams: int) -> None:
    """Both versions are told in one transaction, until nobody listens to the first."""
    about: dict[str, Any] = {"user_id": "ada", "aggregate_id": parcel_id, "aggregate_version": 1}
    table().write(
        events=[
            ParcelSentV1(parcel_id=parcel_id, weight=grams, **about),
            ParcelSentV2(parcel_id=parcel_id, kilograms=grams / 1000, **about),
        ]
    )


def consume(consumers: Consumers, *events: Event) -> list[object]:
    answer = consumers.lambda_function(ServiceApp("probe"))(
        {
            "Records": [
                {"messageId": str(n), "body": json.dumps(bus_envelope(event))}
                for n, event in enumerate(events)
            ]
        },
        SimpleNamespace(),
    )
    return list(answer["batchItemFailures"])


def announced(service: Service) -> list[Event]:
    kinds = {"1": ParcelSentV1, "2": ParcelSentV2}
    told = [each["detail"] for each in service.outbox()]
    return [kinds[str(detail["version"])].model_validate(detail) for detail in told]


def test_the_second_version_would_break_readers_of_the_first() -> None:
    assert breaks(schema(ParcelSentV1), schema(ParcelSentV2))


def test_each_reader_gets_the_version_that_it_knows() -> None:
    old, new = Consumers(), Consumers()
    seen: list[object] = []
    old.on(ParcelSentV1)(lambda event: seen.append(("old", event.weight)))
    new.on(ParcelSentV2)(lambda event: seen.append(("new", event.kilograms)))
    with running("events") as service:
        send("p1", 1500)
        both = announced(service)
        for consumers in (old, new):
            wanted = [event for event in both if type(event) in consumers.functions]
            assert consume(consumers, *wanted) == []
        assert service.buried() == []
    assert sorted(map(str, seen)) == ["('new', 1.5)", "('old', 1500)"]


def test_rules_tell_the_versions_apart() -> None:
    patterns = [event.pattern()["detail"] for event in (ParcelSentV1, ParcelSentV2)]
    assert patterns == [{"version": [1]}, {"version": [2]}]
