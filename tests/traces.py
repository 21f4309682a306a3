"""Spans as an operator's collector finds them: OTLP JSON among the lines of the functions' logs."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.platform import Platform

SERVICES = ("agents", "tasks", "events", "status", "graphql")


@dataclass(frozen=True)
class Span:
    service: str
    name: str
    id: str
    parent: str | None
    attributes: dict[str, str]


def spans_of(platform: Platform, trace_id: str) -> list[Span]:
    """What is told of a trace so far."""
    pages = platform.aws("logs").get_paginator("filter_log_events")
    return [
        span
        for service in SERVICES
        for page in pages.paginate(
            logGroupName=f"/agentic/local/{service}", filterPattern=f'"{trace_id}"'
        )
        for event in page["events"]
        for span in _in_line(event["message"])
        if span["traceId"] == trace_id
        for span in [_read(service, span)]
    ]


def _in_line(message: str) -> Iterator[dict[str, Any]]:
    if message.startswith('{"resourceSpans"'):
        for resource in json.loads(message)["resourceSpans"]:
            for scope in resource["scopeSpans"]:
                yield from scope["spans"]


def _read(service: str, span: dict[str, Any]) -> Span:
    values = {each["key"]: str(*each["value"].values()) for each in span["attributes"]}
    return Span(service, span["name"], span["spanId"], span.get("parentSpanId"), values)
