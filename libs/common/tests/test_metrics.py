"""Metrics are log lines that CloudWatch understands."""

import json

import pytest
from common import metrics


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    return dict(json.loads(capsys.readouterr().out))


def test_a_count_is_told_in_all_and_by_its_dimensions(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("METRICS_NAMESPACE", "agentic-test-metrics")
    metrics.count("Published", event="TaskFailed")
    line = told(capsys)
    assert (line["Published"], line["event"]) == (1, "TaskFailed")
    (directive,) = line["_aws"]["CloudWatchMetrics"]  # type: ignore[index]
    assert directive == {
        "Namespace": "agentic-test-metrics",
        "Dimensions": [[], ["event"]],
        "Metrics": [{"Name": "Published", "Unit": "Count"}],
    }


def test_a_measurement_has_its_unit(capsys: pytest.CaptureFixture[str]) -> None:
    metrics.measure("PushLatency", 12.5, "Milliseconds")
    line = told(capsys)
    assert line["PushLatency"] == 12.5
    (directive,) = line["_aws"]["CloudWatchMetrics"]  # type: ignore[index]
    assert directive["Dimensions"] == [[]]
    assert directive["Metrics"] == [{"Name": "PushLatency", "Unit": "Milliseconds"}]
