"""Whoever is woken learns what is wrong, whose it is, and what to do."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from common.events.catalogue import sources_of

from infra.alarms import RUNBOOKS
from infra.stage import SERVICES
from infra.tests.synthesis import Synthesis, Template, resources

KINDS = ("DeadLettersAlarm", "Errors", "Throttles", "ServerErrors")


@pytest.fixture
def production(synthesis: Callable[[str], Synthesis]) -> dict[str, Template]:
    return synthesis("production").templates


def alarms(templates: dict[str, Template]) -> Iterator[tuple[str, dict[str, Any]]]:
    for part, template in templates.items():
        for alarm in resources(template, "AWS::CloudWatch::Alarm").values():
            yield part, alarm


def test_every_alarm_rings_names_its_owner_and_a_page_that_exists(
    production: dict[str, Template],
) -> None:
    pages = {page.stem for page in RUNBOOKS.glob("*.md")}
    used = set()
    for part, alarm in alarms(production):
        (action,) = alarm["AlarmActions"]
        assert "agentic-production-alarms" in json.dumps(action)
        owner = "tasks" if part == "workflows" else part
        what, whose, where = alarm["AlarmDescription"].split(". ")
        assert what
        assert whose == f"Owner: {owner}"
        used.add(where.removeprefix("See docs/runbooks/").removesuffix(".md"))
    assert used == pages


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_watched(production: dict[str, Template], service: str) -> None:
    names = {
        alarm["AlarmName"].removeprefix(f"agentic-production-{service}-")
        for part, alarm in alarms(production)
        if part == service
    }
    assert names >= {*KINDS, *(["OutboxAge"] if sources_of(service) else [])}


def test_executions_that_end_badly_ring(production: dict[str, Template]) -> None:
    template = production["workflows"]
    watched = {a["MetricName"] for a in resources(template, "AWS::CloudWatch::Alarm").values()}
    assert watched >= {"ExecutionsFailed", "ExecutionsAborted", "ExecutionsTimedOut"}


def test_alarms_can_reach_the_topic(production: dict[str, Template]) -> None:
    """CloudWatch must be allowed to publish, and to use the key that the topic is sealed with."""
    template = production["platform"]
    (topic,) = resources(template, "AWS::SNS::Topic").values()
    assert topic["TopicName"] == "agentic-production-alarms"
    policies = json.dumps(list(resources(template, "AWS::SNS::TopicPolicy").values()))
    assert "cloudwatch.amazonaws.com" in policies
    (key,) = resources(template, "AWS::KMS::Key").values()
    assert "cloudwatch.amazonaws.com" in json.dumps(key["KeyPolicy"])


def test_the_dashboard_shows_what_the_alarms_watch(production: dict[str, Template]) -> None:
    (dashboard,) = resources(production["dashboard"], "AWS::CloudWatch::Dashboard").values()
    body = json.dumps(dashboard["DashboardBody"])
    for name in ("OldestOutboxRow", "DeadLetters", "Throttles", "ExecutionsFailed", "5XXError"):
        assert name in body
    assert "agentic-production-metrics" in body
