"""EventBridge Scheduler, which puts a message into our queue whenever a schedule is due."""

import json
import os
from datetime import datetime
from functools import cached_property
from typing import Any

import boto3
from chalicelib.events.models.schedules import Schedule

DUE_AT = "<aws.scheduler.scheduled-time>"


class EventBridgeScheduler:
    @cached_property
    def _client(self) -> Any:
        return boto3.client("scheduler")

    def keep(self, schedule: Schedule) -> None:
        wanted = schedule.wanted
        bounds = {"StartDate": wanted.starts_at, "EndDate": wanted.ends_at}
        told = {
            "Name": _name(schedule.id),
            "ScheduleExpression": wanted.expression,
            "ScheduleExpressionTimezone": wanted.timezone,
            "State": "ENABLED" if wanted.enabled else "DISABLED",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "Target": _target(schedule.id),
            **{name: datetime.fromisoformat(at) for name, at in bounds.items() if at},
        }
        try:
            self._client.update_schedule(**told)
        except self._client.exceptions.ResourceNotFoundException:
            self._client.create_schedule(**told)

    def remove(self, schedule_id: str) -> None:
        """What is not there is removed already."""
        try:
            self._client.delete_schedule(Name=_name(schedule_id))
        except self._client.exceptions.ResourceNotFoundException:
            return


def _name(schedule_id: str) -> str:
    return f"{os.environ['SCHEDULE_PREFIX']}{schedule_id}"


def _target(schedule_id: str) -> dict[str, Any]:
    """It is tried again for an hour, and is a dead letter then."""
    return {
        "Arn": os.environ["FIRINGS_ARN"],
        "RoleArn": os.environ["SCHEDULER_ROLE_ARN"],
        "Input": json.dumps({"scheduleId": schedule_id, "dueAt": DUE_AT}),
        "RetryPolicy": {"MaximumEventAgeInSeconds": 3600, "MaximumRetryAttempts": 185},
        "DeadLetterConfig": {"Arn": os.environ["DEAD_LETTERS_ARN"]},
    }
