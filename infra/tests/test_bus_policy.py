"""Each service publishes under its own sources and no other: the bus refuses them, whatever a role
allows."""

import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import pytest
from common.events.catalogue import CATALOGUE, sources_of

from infra.stage import SERVICES
from infra.tests.synthesis import Template, resources

SOURCES = sorted({entry.event.source for entry in CATALOGUE})
FOREIGN = "somebody.else"


def role(service: str, stage: str = "staging") -> str:
    """As CloudFormation names a role: by its stack, its logical id, and something at random."""
    return f"arn:aws:iam::1:role/agentic-{stage}-{service}-Role1ABFCC5F-X1Y2Z3"


def bus_refuses(template: Template, principal: str, source: str) -> bool:
    return any(_matches(statement, principal, source) for statement in _of_the_bus(template))


def _of_the_bus(template: Template) -> Iterator[dict[str, Any]]:
    buses = resources(template, "AWS::Events::EventBus")
    for policy in resources(template, "AWS::Events::EventBusPolicy").values():
        statement = policy["Statement"]
        assert policy["EventBusName"]["Ref"] in buses
        assert statement["Resource"]["Fn::GetAtt"][0] in buses
        assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
        assert statement["Action"] == "events:PutEvents"
        yield statement


def _matches(statement: dict[str, Any], principal: str, source: str) -> bool:
    """All conditions must hold; each that is known here and no other."""
    held = []
    for operator, wanted in statement["Condition"].items():
        ((key, values),) = wanted.items()
        values = values if isinstance(values, list) else [values]
        match operator, key:
            case "StringEquals", "events:source":
                held.append(source in values)
            case "StringNotEquals", "events:source":
                held.append(source not in values)
            case "ArnNotLike", "aws:PrincipalArn":
                held.append(not any(fnmatchcase(principal, _arn(each)) for each in values))
            case _:
                raise AssertionError(f"{operator} {key}")
    return all(held)


def _arn(value: dict[str, Any]) -> str:
    names = {"AWS::Partition": "aws", "AWS::AccountId": "1"}
    separator, parts = value["Fn::Join"]
    return str(separator.join(names[p["Ref"]] if isinstance(p, dict) else p for p in parts))


@pytest.mark.parametrize("service", SERVICES)
def test_the_bus_takes_a_services_own_sources_and_no_others(
    templates: dict[str, Template], service: str
) -> None:
    taken = {
        source
        for source in (*SOURCES, FOREIGN)
        if not bus_refuses(templates["platform"], role(service), source)
    }
    assert taken == set(sources_of(service))


@pytest.mark.parametrize("source", [*SOURCES, FOREIGN])
@pytest.mark.parametrize(
    "principal",
    [
        "arn:aws:iam::1:role/admin",
        "arn:aws:iam::2:role/agentic-staging-tasks-Role1ABFCC5F-X1Y2Z3",
        role("tasks", "production"),
        role("workflows"),
        "arn:aws:iam::1:user/agentic-staging-tasks-x",
    ],
)
def test_the_bus_takes_nothing_from_anybody_else(
    templates: dict[str, Template], principal: str, source: str
) -> None:
    assert bus_refuses(templates["platform"], principal, source)


def test_the_policy_stays_below_what_a_bus_takes(templates: dict[str, Template]) -> None:
    """10 KB in all."""
    whole = json.dumps(list(_of_the_bus(templates["platform"])))
    assert len(whole) < 8 * 1024
