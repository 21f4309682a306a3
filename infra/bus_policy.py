"""Who may publish what: the bus refuses it from anybody else, whatever their own role allows."""

from collections.abc import Mapping
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_events as events
from common.events.catalogue import sources_of

from infra.stage import SERVICES, Stage


def guard(stack: cdk.Stack, bus: events.IEventBus, stage: Stage) -> None:
    """Events of a source come from the services that announce them, by the catalogue; those of
    other sources from nobody. Denied, not allowed: a role of the same account needs no consent of
    the bus. A service is told by the names that CloudFormation gives to its stack's roles."""
    producers = {
        source: [service for service in SERVICES if source in sources_of(service)]
        for service in SERVICES
        for source in sources_of(service)
    }
    for number, (source, services) in enumerate(producers.items()):
        roles = [_roles_of(stack, stage.named(service)) for service in services]
        others: dict[str, dict[str, object]] = {
            "StringEquals": {"events:source": source},
            "ArnNotLike": {"aws:PrincipalArn": roles},
        }
        _deny(stack, bus, f"OnlyItsOwners{number}", others)
    _deny(stack, bus, "NothingElse", {"StringNotEquals": {"events:source": list(producers)}})


def _deny(
    stack: cdk.Stack,
    bus: events.IEventBus,
    name: str,
    conditions: Mapping[str, Mapping[str, object]],
) -> None:
    statement: dict[str, Any] = {
        "Sid": name,
        "Effect": "Deny",
        "Principal": "*",
        "Action": "events:PutEvents",
        "Resource": bus.event_bus_arn,
        "Condition": conditions,
    }
    events.CfnEventBusPolicy(
        stack,
        name,
        event_bus_name=bus.event_bus_name,
        statement_id=name,
        statement=statement,
    )


def _roles_of(stack: cdk.Stack, name: str) -> str:
    return stack.format_arn(service="iam", region="", resource="role", resource_name=f"{name}-*")
