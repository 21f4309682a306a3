"""Traces: what is a traceparent, and what spans say."""

import json
import re
import string
from typing import Any

import pytest
from common import tracing
from common.traceparents import Place
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.trace import get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

FORM = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]")
GIVEN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def hexes(size: int) -> st.SearchStrategy[str]:
    digits = st.text(string.hexdigits.lower()[:16], min_size=size, max_size=size)
    return digits | st.sampled_from(["0" * size, "f" * size, "A" * size, "1" * (size + 1)])


almost = st.builds(
    lambda parts, more, edge: edge + "-".join(parts) + more + edge,
    st.tuples(hexes(2), hexes(32), hexes(16), hexes(2))
    | st.tuples(st.just("00"), hexes(32), hexes(16), hexes(2)),
    st.sampled_from(["", "", "-", "-more", "x"]),
    st.sampled_from(["", "", " ", "\t", "x"]),
)


@given(almost | st.text(st.characters(exclude_categories=["Cc", "Cs"])))
def test_whatever_comes_is_read_as_opentelemetry_reads_it(text: str) -> None:
    carrier = {"traceparent": text}
    theirs = get_current_span(TraceContextTextMapPropagator().extract(carrier)).get_span_context()
    ours = Place.parse(text)
    assert (ours is not None) == theirs.is_valid
    if ours:
        assert int(ours.trace_id, 16) == theirs.trace_id
        assert int(ours.span_id, 16) == theirs.span_id
        assert ours.is_sampled == theirs.trace_flags.sampled


@given(st.none() | almost | st.text())
def test_what_is_begun_has_a_sound_place_whatever_it_goes_on_from(parent: str | None) -> None:
    with tracing.continued(parent), tracing.span("work"):
        told = tracing.traceparent()
    assert told
    assert FORM.fullmatch(told)
    known, place = Place.parse(parent), Place.parse(told)
    assert place
    assert place.traceparent == told
    if known:
        assert (place.trace_id, place.is_sampled) == (known.trace_id, known.is_sampled)
        assert place.span_id != known.span_id


def told(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [
        span
        for line in lines
        for resource in line["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]


def test_spans_are_told_once_in_one_line_with_their_parents(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with (
        tracing.invocation("f"),
        tracing.continued(GIVEN),
        tracing.span("a", tracing.Kind.SERVER, {"n": 1, "s": "x", "b": True, "f": 0.5}),
        tracing.span("b"),
    ):
        pass
    inner, outer = told(capsys)
    trace_id, span_id = GIVEN.split("-")[1:3]
    assert (outer["name"], outer["traceId"], outer["parentSpanId"]) == ("a", trace_id, span_id)
    assert (inner["name"], inner["traceId"], inner["parentSpanId"]) == (
        "b",
        trace_id,
        outer["spanId"],
    )
    assert outer["kind"] == 2
    assert outer["attributes"] == [
        {"key": "n", "value": {"intValue": "1"}},
        {"key": "s", "value": {"stringValue": "x"}},
        {"key": "b", "value": {"boolValue": True}},
        {"key": "f", "value": {"doubleValue": 0.5}},
    ]
    times = [
        int(span[f"{name}TimeUnixNano"]) for span in (outer, inner) for name in ("start", "end")
    ]
    assert times[0] <= times[2] <= times[3] <= times[1]


def test_a_failure_is_told_by_its_type_alone(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        with tracing.invocation("f"):
            tracing.follow(GIVEN)
            raise ValueError("somebody's secret")

    with pytest.raises(ValueError, match="secret"):
        fail()
    (span,) = told(capsys)
    assert (span["name"], span["status"]) == ("f", {"code": 2})
    assert {"key": "error.type", "value": {"stringValue": "ValueError"}} in span["attributes"]
    assert "secret" not in json.dumps(span)


def test_what_is_not_sampled_is_passed_on_and_not_told(capsys: pytest.CaptureFixture[str]) -> None:
    with tracing.invocation("f"), tracing.continued(GIVEN[:-1] + "0"), tracing.span("a"):
        passed_on = tracing.traceparent()
    assert passed_on
    assert passed_on.endswith("-00")
    assert not told(capsys)


@pytest.mark.parametrize(("share", "sampled"), [("1", True), ("0", False)])
def test_of_traces_that_begin_here_the_stages_share_is_sampled(
    monkeypatch: pytest.MonkeyPatch, share: str, sampled: bool
) -> None:
    monkeypatch.setenv("TRACES_SAMPLED", share)
    with tracing.span("a") as span:
        assert span.place.is_sampled == sampled


def test_an_invocation_that_follows_several_traces_gets_a_span_in_the_first(
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = GIVEN.replace("4bf9", "aaaa")
    with tracing.invocation("f"):
        tracing.follow(GIVEN)
        tracing.follow(GIVEN)
        tracing.follow(other)
        assert tracing.traceparent() == other
        with tracing.span("a"):
            pass
    within, whole = told(capsys)
    assert (within["name"], within["traceId"]) == ("a", other.split("-")[1])
    assert (whole["name"], whole["traceId"]) == ("f", GIVEN.split("-")[1])


def test_who_follows_no_trace_tells_nothing_and_the_next_begins_anew(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with tracing.invocation("f"):
        tracing.follow(GIVEN)
    with tracing.invocation("g"):
        assert tracing.ids() == {}
        tracing.follow("nonsense")
        tracing.follow(None)
    assert [span["name"] for span in told(capsys)] == ["f"]


def test_many_spans_take_several_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with tracing.invocation("f"):
        for _ in range(tracing.SPANS_PER_LINE + 1):
            tracing.begin("a").end()
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 2
    assert out.count('"name": "a"') == tracing.SPANS_PER_LINE + 1
