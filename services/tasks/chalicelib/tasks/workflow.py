"""The state machines: one executes a task, the other coordinates the tasks of a collaboration."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

_ENDED_BADLY = ("FAILED", "TIMED_OUT", "ABORTED")


class Execution(NamedTuple):
    task_id: str
    attempt: int

    @classmethod
    def named(cls, name: str) -> "Execution | None":
        """None if it is not one of ours: people start some by hand."""
        task_id, _, attempt = name.rpartition("-")
        return cls(task_id, int(attempt)) if attempt.isdecimal() else None


class TaskExecutions:
    def __init__(self, client: "SFNClient", state_machine_arn: str) -> None:
        self._client = client
        self._state_machine_arn = state_machine_arn

    def start(self, task_id: str, attempt: int) -> None:
        """The name is the claim: an attempt is executed once, however often it is announced."""
        try:
            self._client.start_execution(
                stateMachineArn=self._state_machine_arn,
                name=f"{task_id}-{attempt}",
                input=json.dumps({"taskId": task_id, "attempt": attempt}),
            )
        except self._client.exceptions.ExecutionAlreadyExists:
            return

    def wake(self, token: str, outcome: str) -> None:
        """Who is awake already, or gone, needs it no more."""
        gone = (
            self._client.exceptions.TaskTimedOut,
            self._client.exceptions.TaskDoesNotExist,
            self._client.exceptions.InvalidToken,
        )
        try:
            self._client.send_task_success(
                taskToken=token, output=json.dumps({"decision": outcome})
            )
        except gone:
            return

    def ended_badly(self, within: timedelta) -> Iterator[Execution]:
        """Those that failed, were aborted or ran out of time a moment ago."""
        for status in _ENDED_BADLY:
            for item in self._listed(status, datetime.now(UTC) - within):
                if found := Execution.named(item["name"]):
                    yield found

    def _listed(self, status: Any, since: datetime) -> Iterator[Any]:
        """Newest first, as they were started; one that ran long is found by its end."""
        pages = self._client.get_paginator("list_executions").paginate(
            stateMachineArn=self._state_machine_arn,
            statusFilter=status,
            PaginationConfig={"MaxItems": 1000},
        )
        for page in pages:
            yield from (item for item in page["executions"] if item["stopDate"] >= since)


class Collaborations:
    def __init__(self, client: "SFNClient", state_machine_arn: str) -> None:
        self._client = client
        self._state_machine_arn = state_machine_arn

    def start(self, collaboration_id: str) -> None:
        """However often it is announced, it is carried out once."""
        try:
            self._client.start_execution(
                stateMachineArn=self._state_machine_arn,
                name=collaboration_id,
                input=json.dumps({"collaborationId": collaboration_id}),
            )
        except self._client.exceptions.ExecutionAlreadyExists:
            return
