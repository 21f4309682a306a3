"""The open WebSocket connections, which API Gateway holds: frames out."""

import json
import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING
from urllib.parse import urljoin

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from common import tracing
from common.calls import patience

if TYPE_CHECKING:
    from mypy_boto3_apigatewaymanagementapi import ApiGatewayManagementApiClient

log = logging.getLogger(__name__)

THREADS = 32
PATIENCE_SECONDS = 2.0
MAX_POSTED_BYTES = 128 * 1024
"""API Gateway takes no more at once; what is larger is to be fetched."""

Frame = dict[str, object]


class Sockets:
    """Whoever does not take a frame should be closed and forgotten: a client that is connected and
    has a hole in what it heard may never notice, one that has to connect again asks for the rest.
    """

    def __init__(self, client: "ApiGatewayManagementApiClient") -> None:
        self._client = client
        self._threads = ThreadPoolExecutor(THREADS)

    @classmethod
    def at(cls, endpoint: str) -> "Sockets":
        """On AWS the endpoint is a URL; on the emulator a path below the one AWS endpoint."""
        config = patience(5, tries=2, max_pool_connections=THREADS)
        url = urljoin(os.environ.get("AWS_ENDPOINT_URL", ""), endpoint)
        return cls(boto3.client("apigatewaymanagementapi", endpoint_url=url, config=config))

    def post(self, connection_id: str, frame: Frame) -> bool:
        """Whether it was taken."""
        return self._post(connection_id, encoded(frame))

    def post_to_all(self, connection_ids: Sequence[str], frame: Frame) -> list[str]:
        """Those of the connections that did not take it."""
        data = encoded(frame)
        return self._post_all([(each, data) for each in connection_ids])

    def post_each(self, frames: Sequence[tuple[str, Frame]]) -> list[str]:
        """Those of the connections that did not take theirs."""
        return self._post_all([(each, encoded(frame)) for each, frame in frames])

    def close(self, connection_id: str) -> bool:
        """False when it could not be closed. Its client may connect again if its credential may."""
        try:
            self._client.delete_connection(ConnectionId=connection_id)
        except self._client.exceptions.GoneException:
            return True
        except (ClientError, BotoCoreError):
            log.exception("a connection was not closed", extra={"connectionId": connection_id})
            return False
        return True

    def _post_all(self, frames: Sequence[tuple[str, bytes]]) -> list[str]:
        """All are posted to side by side, and nobody waits for long for those that hang."""
        if not frames:
            return []
        with tracing.span(
            "push", tracing.Kind.PRODUCER, {"messaging.batch.message_count": len(frames)}
        ):
            return self._posted(frames)

    def _posted(self, frames: Sequence[tuple[str, bytes]]) -> list[str]:
        if len(frames) == 1:
            return [each for each, data in frames if not self._post(each, data)]
        posts = {self._threads.submit(self._post, each, data): each for each, data in frames}
        waiting = set(posts)
        while waiting:
            done, waiting = wait(waiting, PATIENCE_SECONDS)
            if not done:
                break
        return [each for post, each in posts.items() if post in waiting or not post.result()]

    def _post(self, connection_id: str, data: bytes) -> bool:
        try:
            self._client.post_to_connection(ConnectionId=connection_id, Data=data)
        except self._client.exceptions.GoneException:
            return False
        except (ClientError, BotoCoreError):
            log.exception("a frame was not delivered", extra={"connectionId": connection_id})
            return False
        return True


def encoded(frame: Frame) -> bytes:
    return json.dumps(frame, ensure_ascii=False, separators=(",", ":")).encode()
