import json
import re
from typing import Any

import pytest
from common.events.base import Event
from common.events.catalogue import CATALOGUE, consumed_by, sources_of
from common.events.schemas import schema
from hypothesis import given
from hypothesis import strategies as st

from docs import generate
from docs.compatibility import accepts, breaks
from tests.service import ROOT, bus_envelope
from tests.strategies import events, json_values

SERVICES = {folder.name for folder in (ROOT / "services").iterdir() if folder.is_dir()}
EVENTS = [entry.event for entry in CATALOGUE]


def subclasses(event: type[Event]) -> list[type[Event]]:
    """Those that are made: not what requests have in common. Tests may make some of their own."""
    direct = event.__subclasses__()
    found = [*direct, *(each for child in direct for each in subclasses(child))]
    ours = [each for each in found if each.__module__.startswith("common.")]
    return [each for each in ours if not each.__subclasses__()]


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


def test_a_source_belongs_to_one_service_but_those_of_errors_and_refusals() -> None:
    owners: dict[str, set[str]] = {}
    for entry in CATALOGUE:
        owners.setdefault(entry.event.source, set()).update(entry.producers)
    shared = {source: names for source, names in owners.items() if len(names) > 1}
    assert shared == {
        "realtime-agentic-api.errors": {"tasks", "events"},
        "realtime-agentic-api.requests": {"agents", "tasks"},
    }
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
    assert breaks(released, schema(event)) == []


def parts(**fields: Any) -> dict[str, Any]:
    """A schema of these fields, those in capitals required."""
    properties = {name.lower(): part for name, part in fields.items()}
    required = [name.lower() for name in fields if name.isupper()]
    wire = {"x-source": "s", "x-detail-type": "t"}
    return {**wire, "type": "object", "properties": properties, "required": required}


TEXT, NUMBER, WHOLE = {"type": "string"}, {"type": "number"}, {"type": "integer"}
NOTHING = {"type": "null"}
RELEASED = parts(NAME=TEXT, mood={"anyOf": [TEXT, NOTHING]})
OLD, NEW = "a reader of the released version: ", "a reader of this version: "


@pytest.mark.parametrize(
    ("current", "why"),
    [
        (parts(NAME=WHOLE), [OLD + "name is integer and not string"]),
        (parts(NAME=WHOLE), [NEW + "name is string and not integer"]),
        (parts(mood=TEXT), ["name is missing", OLD + "name may be left out, which it needs"]),
        (parts(NAME=TEXT), ["mood is missing"]),
        (parts(NAME=TEXT, AGE=WHOLE), [NEW + "age may be left out, which it needs"]),
        (parts(name=TEXT), [OLD + "name may be left out, which it needs"]),
        (parts(NAME=TEXT, mood=TEXT), [NEW + "mood is null and not string"]),
        (parts(NAME={"enum": ["a", "b"]}), [NEW + "name may be others, which it does not know"]),
        (parts(NAME={**TEXT, "maxLength": 9}), [NEW + "name may be above its maxLength"]),
        (parts(NAME={**TEXT, "pattern": "x"}), [NEW + "name may be of another pattern"]),
        (RELEASED | {"x-source": "elsewhere"}, ["x-source is another"]),
    ],
)
def test_any_other_change_of_a_released_schema_is_told(current: Any, why: list[str]) -> None:
    assert set(why) <= set(breaks(RELEASED, current))


@pytest.mark.parametrize(
    "current",
    [
        RELEASED,
        parts(NAME=TEXT, mood={"anyOf": [TEXT, NOTHING]}, age=WHOLE),
        parts(NAME=TEXT | {"description": "said better"}, mood={"anyOf": [NOTHING, TEXT]}),
        RELEASED | {"description": "said better"},
    ],
)
def test_a_new_optional_field_and_better_words_break_nothing(current: Any) -> None:
    assert breaks(RELEASED, current) == []


@pytest.mark.parametrize(
    ("reader", "writer", "reads"),
    [
        (NUMBER, WHOLE, True),
        (WHOLE, NUMBER, False),
        ({"enum": ["a", "b"]}, {"const": "a"}, True),
        ({"enum": ["a"]}, {"enum": ["a", "b"]}, False),
        ({}, TEXT, True),
        ({"anyOf": [TEXT, NOTHING]}, TEXT, True),
        (TEXT, {"anyOf": [TEXT, NOTHING]}, False),
        ({"type": "array", "items": NUMBER}, {"type": "array", "items": WHOLE}, True),
        ({"type": "array", "items": WHOLE}, {"type": "array", "items": TEXT}, False),
        ({"minimum": 0, **WHOLE}, {"minimum": 1, **WHOLE}, True),
        ({"minimum": 1, **WHOLE}, WHOLE, False),
        (
            {"type": "object", "additionalProperties": TEXT},
            {"type": "object", "additionalProperties": WHOLE},
            False,
        ),
    ],
)
def test_reading_has_a_direction(reader: Any, writer: Any, reads: bool) -> None:
    assert (accepts(parts(X=reader), parts(X=writer)) == []) == reads


def test_definitions_are_followed() -> None:
    tool = {"$ref": "#/$defs/Tool"}
    old = parts(TOOL=tool) | {"$defs": {"Tool": parts(NAME=TEXT)}}
    new = parts(TOOL=tool) | {"$defs": {"Tool": parts(NAME=WHOLE)}}
    assert OLD + "tool.name is integer and not string" in breaks(old, new)


def test_the_page_of_events_names_every_event_with_its_fields() -> None:
    page = generate.page()
    for event in EVENTS:
        section = page.partition(f"\n## {event.detail_type()} V{event.schema_version()}\n")[2]
        section = section.partition("\n## ")[0]
        own = event.model_fields.keys() - Event.model_fields.keys()
        listed = set(re.findall(r"^\| `(\w+)` \|", section, re.M))
        assert listed == {event.model_fields[name].alias for name in own}
