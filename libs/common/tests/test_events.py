import json
import re
from typing import Any

import pytest
from common.events.base import Event
from common.events.catalogue import CATALOGUE, consumed_by, sources_of
from hypothesis import given
from hypothesis import strategies as st

from docs import generate
from tests.service import ROOT, bus_envelope
from tests.strategies import events, json_values

SERVICES = {folder.name for folder in (ROOT / "services").iterdir() if folder.is_dir()}
EVENTS = [entry.event for entry in CATALOGUE]


def subclasses(event: type[Event]) -> list[type[Event]]:
    """Tests may make some of their own."""
    direct = event.__subclasses__()
    found = [*direct, *(each for child in direct for each in subclasses(child))]
    return [each for each in found if each.__module__.startswith("common.")]


def matches(pattern: Any, value: Any) -> bool:
    """EventBridge's rule for the patterns that we use: lists of exact values, nested."""
    if isinstance(pattern, list):
        return value in pattern
    return all(name in value and matches(part, value[name]) for name, part in pattern.items())


def test_every_event_is_in_the_catalogue_once() -> None:
    assert sorted(each.__name__ for each in EVENTS) == sorted(
        each.__name__ for each in subclasses(Event)
    )


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.event.__name__)
def test_an_event_is_named_for_a_fact_and_goes_between_our_services(entry: Any) -> None:
    assert re.fullmatch(r"([A-Z][a-z]+)+V[1-9]\d*", entry.event.__name__)
    assert entry.event.source.startswith("realtime-agentic-api.")
    assert entry.event.__doc__
    assert set(entry.producers) <= SERVICES
    assert set(entry.consumers) <= SERVICES
    assert len(set(entry.consumers)) == len(entry.consumers)


def test_a_source_belongs_to_one_service_but_that_of_errors() -> None:
    owners: dict[str, set[str]] = {}
    for entry in CATALOGUE:
        owners.setdefault(entry.event.source, set()).update(entry.producers)
    shared = {source: names for source, names in owners.items() if len(names) > 1}
    assert shared == {"realtime-agentic-api.errors": {"tasks", "events"}}
    assert {source for name in SERVICES for source in sources_of(name)} == owners.keys()


def test_consumption_is_read_from_the_catalogue() -> None:
    assert {(name, event) for name in SERVICES for event in consumed_by(name)} == {
        (name, entry.event) for entry in CATALOGUE for name in entry.consumers
    }


@given(event=events)
def test_an_event_matches_its_own_pattern_alone_and_parses_back(event: Event) -> None:
    envelope = json.loads(json.dumps(bus_envelope(event)))
    assert [each for each in EVENTS if matches(each.pattern(), envelope)] == [type(event)]
    assert type(event).model_validate(envelope["detail"]) == event
    assert type(event).model_validate_json(event.model_dump_json(by_alias=True)) == event


@given(event=events, name=st.from_regex(r"x[A-Za-z]{1,9}", fullmatch=True), value=json_values)
def test_a_field_nobody_knows_is_ignored(event: Event, name: str, value: object) -> None:
    assert type(event).model_validate(event.wire() | {name: value}) == event


@given(event=events)
def test_an_event_is_of_its_class_version_whatever_is_claimed(event: Event) -> None:
    claimed = type(event).model_validate(event.wire() | {"version": 99})
    assert claimed.version == type(event).schema_version()


def test_an_event_without_a_version_in_its_name_is_a_mistake() -> None:
    class TaskForgotten(Event):
        source = "realtime-agentic-api.tasks"

    with pytest.raises(TypeError, match="TaskForgotten"):
        TaskForgotten(user_id="ada", aggregate_id="t", aggregate_version=1)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
def test_a_released_schema_only_gains_optional_fields(event: type[Event]) -> None:
    released = json.loads(generate.path_of(event).read_text())
    assert generate.breaks(released, generate.schema(event)) == []


def changed(part: str, **changes: Any) -> dict[str, Any]:
    schema = generate.schema(EVENTS[0])
    return schema | {part: schema[part] | changes}


def required(*names: str) -> dict[str, Any]:
    schema = changed("properties", mood={"type": "string"})
    return schema | {"required": [*schema["required"], *names]}


def without(name: str) -> dict[str, Any]:
    schema = generate.schema(EVENTS[0])
    kept = {key: value for key, value in schema["properties"].items() if key != name}
    return schema | {"properties": kept}


@pytest.mark.parametrize(
    ("current", "why"),
    [
        (changed("properties", name={"type": "integer"}), "name is of another type"),
        (without("name"), "name is missing"),
        (required("mood"), "mood is required"),
        (required("correlationId"), "correlationId is required"),
        (generate.schema(EVENTS[0]) | {"required": []}, "name is not required any more"),
        (generate.schema(EVENTS[0]) | {"x-source": "elsewhere"}, "x-source is another"),
    ],
)
def test_any_other_change_of_a_released_schema_is_told(current: Any, why: str) -> None:
    assert why in generate.breaks(generate.schema(EVENTS[0]), current)


@pytest.mark.parametrize(
    "current",
    [
        required(),
        changed("properties", name={"type": "string", "description": "said better"}),
        generate.schema(EVENTS[0]) | {"description": "said better"},
    ],
)
def test_a_new_optional_field_and_better_words_break_nothing(current: Any) -> None:
    assert generate.breaks(generate.schema(EVENTS[0]), current) == []


def test_the_page_of_events_names_every_event_with_its_fields() -> None:
    page = generate.page()
    for event in EVENTS:
        section = page.partition(f"\n## {event.detail_type()} V{event.schema_version()}\n")[2]
        section = section.partition("\n## ")[0]
        own = event.model_fields.keys() - Event.model_fields.keys()
        listed = set(re.findall(r"^\| `(\w+)` \|", section, re.M))
        assert listed == {event.model_fields[name].alias for name in own}
