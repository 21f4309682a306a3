"""Where conversations wait for somebody who answers."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from common.dead_letters import attempts_of
from common.events.delivery import MAX_RECEIVES

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


class ConversationQueue:
    """A queue of its own: a long answer holds up nothing but its own session."""

    def __init__(self, client: "SQSClient", url: str) -> None:
        self._client = client
        self._url = url

    def hand_over(self, agent_id: str, session_id: str) -> None:
        body = json.dumps({"agentId": agent_id, "sessionId": session_id})
        self._client.send_message(QueueUrl=self._url, MessageBody=body)

    def read(self, record: Mapping[str, Any]) -> tuple[str, str]:
        wanted = json.loads(record["body"])
        return wanted["agentId"], wanted["sessionId"]

    def is_last_attempt(self, record: Mapping[str, Any]) -> bool:
        return attempts_of(record) >= MAX_RECEIVES
