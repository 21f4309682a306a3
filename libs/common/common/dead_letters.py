"""What became undeliverable leaves its queue with the reason written on it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

MOST_CHARS = 500


class DeadLetters:
    """The service's dead-letter queue."""

    def __init__(self, sqs: "SQSClient", url: str) -> None:
        self._sqs = sqs
        self._url = url

    def bury(self, record: Mapping[str, Any], reason: str, message: str) -> None:
        """The record as it was received, so that it can be sent back to where it came from."""
        told = {
            "reason": reason,
            "message": message,
            "attempts": str(attempts_of(record)),
            "queue": str(record.get("eventSourceARN", "")).rpartition(":")[2],
        }
        self._sqs.send_message(
            QueueUrl=self._url,
            MessageBody=record["body"] or "(nothing)",
            MessageAttributes={
                name: {"DataType": "String", "StringValue": _sendable(value)}
                for name, value in told.items()
                if value
            },
        )


def attempts_of(record: Mapping[str, Any]) -> int:
    return int(record.get("attributes", {}).get("ApproximateReceiveCount", 1))


def _sendable(text: str) -> str:
    """SQS takes only the characters of XML."""
    return "".join(c for c in text if c.isprintable() and c < "\ufffe")[:MOST_CHARS] or "(nothing)"
