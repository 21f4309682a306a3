"""The events service's stack: it also collects the dead letters of all services."""

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
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
        for metric, description in ALARMS.items():
            self._alarm(metric, description)

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

    def _alarm(self, metric: str, description: str) -> None:
        """Rings at the first one within a minute."""
        counted = cloudwatch.Metric(
            namespace=self.stage.metrics,
            metric_name=metric,
            statistic="Sum",
            period=cdk.Duration.minutes(1),
        )
        counted.create_alarm(
            self,
            f"Counted{metric}",
            alarm_description=f"{description}: docs/runbooks/dead-letters.md",
            threshold=1,
            evaluation_periods=1,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
