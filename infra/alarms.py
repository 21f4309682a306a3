"""Alarms: each says whose it is and which page of docs/runbooks helps, and rings in one topic."""

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_sns as sns

from infra.packaging import ROOT
from infra.stage import Stage

MINUTE = cdk.Duration.minutes(1)
FIVE_MINUTES = cdk.Duration.minutes(5)
RUNBOOKS = ROOT / "docs/runbooks"


class Alarms:
    """Of one stack."""

    def __init__(self, stack: cdk.Stack, stage: Stage, owner: str) -> None:
        self._stack = stack
        self._stage = stage
        self._owner = owner
        arn = stack.format_arn(service="sns", resource=stage.alarms)
        self._topic = sns.Topic.from_topic_arn(stack, "Alarms", arn)

    def ring(
        self, name: str, metric: cloudwatch.IMetric, runbook: str, what: str, at: float = 1
    ) -> None:
        """As soon as the metric reaches `at` in one of its periods."""
        alarm = cloudwatch.Alarm(
            self._stack,
            name,
            alarm_name=self._stage.named(f"{self._owner}-{name}"),
            alarm_description=f"{what}. Owner: {self._owner}. See docs/runbooks/{runbook}.md",
            metric=metric,
            threshold=at,
            evaluation_periods=1,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        alarm.add_alarm_action(actions.SnsAction(self._topic))

    def counted(self, name: str, statistic: str = "Sum", **dimensions: str) -> cloudwatch.Metric:
        """What functions count with `common.metrics`."""
        return counted(self._stage, name, statistic, **dimensions)


def counted(
    stage: Stage, name: str, statistic: str = "Sum", **dimensions: str
) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace=stage.metrics,
        metric_name=name,
        statistic=statistic,
        period=MINUTE,
        dimensions_map=dimensions,
    )
