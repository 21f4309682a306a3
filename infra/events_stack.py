"""The events service's stack: it also collects the dead letters of all services."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sqs as sqs

from infra.service_stack import ServiceStack
from infra.stage import SERVICES

ALARMS = {
    "DeadLetters": "An event could not be delivered",
    "CausationDepthExceeded": "Events lead to each other without end",
}
"""Metric that the functions count → what its alarm says."""


class EventsStack(ServiceStack):
    """The journal of everything that was announced, and of what was not delivered."""

    service = "events"

    def extend(self) -> None:
        for service in SERVICES:
            self.feed(
                "collect_dead_letters", f"{service.title()}DeadLetters", self._dead(service), 2
            )
        self.grant("sqs:GetQueueUrl", "sqs:SendMessage", on=[self._queue_arn("*")])
        self.publish_parameter(self.table.table_name, "journal")
        for metric, description in ALARMS.items():
            counted = self.alarms.counted(metric)
            self.alarms.ring(f"Counted{metric}", counted, "dead-letters", description)
        self._schedules(self.queue_into("fire_schedule", "Firings", at_once=5))

    def _schedules(self, firings: sqs.Queue) -> None:
        """EventBridge Scheduler puts what is due into the queue; `consume` tells it of changes."""
        scheduler = iam.Role(
            self, "Scheduler", assumed_by=iam.ServicePrincipal("scheduler.amazonaws.com")
        )
        firings.grant_send_messages(scheduler)
        self.dead_letters.grant_send_messages(scheduler)
        prefix = self.stage.named("")
        schedules = self.format_arn(
            service="scheduler", resource="schedule", resource_name=f"default/{prefix}*"
        )
        writes = ("CreateSchedule", "UpdateSchedule", "DeleteSchedule")
        self.grant(*(f"scheduler:{write}" for write in writes), on=[schedules])
        to_scheduler = {"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}}
        self.grant("iam:PassRole", on=[scheduler.role_arn], when=to_scheduler)
        variables = {
            "SCHEDULE_PREFIX": prefix,
            "SCHEDULER_ROLE_ARN": scheduler.role_arn,
            "FIRINGS_ARN": firings.queue_arn,
            "DEAD_LETTERS_ARN": self.dead_letters.queue_arn,
        }
        for name in ("consume", "fire_schedule"):
            for variable, value in variables.items():
                path = f"Environment.Variables.{variable}"
                self.function(name).add_property_override(path, value)

    def _dead(self, service: str) -> sqs.IQueue:
        if service == self.service:
            return self.dead_letters
        arn = self._queue_arn(f"{service}-dead-letters")
        return sqs.Queue.from_queue_arn(self, f"DeadLettersOf{service.title()}", arn)

    def _queue_arn(self, name: str) -> str:
        resource = self.stage.named(name)
        return self.format_arn(
            service="sqs", resource=resource, arn_format=cdk.ArnFormat.NO_RESOURCE_NAME
        )
