"""The state machine that executes tasks."""

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient


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
                input=json.dumps({"taskId": task_id}),
            )
        except self._client.exceptions.ExecutionAlreadyExists:
            return
