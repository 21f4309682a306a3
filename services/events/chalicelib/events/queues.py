"""The queues of the platform, by name: where a dead letter goes when it gets another chance."""

from functools import cached_property
from typing import TYPE_CHECKING

import boto3

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


class Queues:
    @cached_property
    def _sqs(self) -> "SQSClient":
        return boto3.client("sqs")

    def send(self, name: str, body: str) -> None:
        url = self._sqs.get_queue_url(QueueName=name)["QueueUrl"]
        self._sqs.send_message(QueueUrl=url, MessageBody=body)
