"""The open WebSocket connections, which API Gateway holds: frames out."""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from chalicelib.status.models import encoded

if TYPE_CHECKING:
    from mypy_boto3_apigatewaymanagementapi import ApiGatewayManagementApiClient

log = logging.getLogger(__name__)
THREADS = 16


class Sockets:
    def __init__(self, client: "ApiGatewayManagementApiClient") -> None:
        self._client = client
        self._threads = ThreadPoolExecutor(THREADS)

    @classmethod
    def at(cls, endpoint: str) -> "Sockets":
        config = Config(
            connect_timeout=2,
            read_timeout=5,
            retries={"total_max_attempts": 2},
            max_pool_connections=THREADS,
        )
        return cls(boto3.client("apigatewaymanagementapi", endpoint_url=endpoint, config=config))

    def post(self, connection_id: str, frame: dict[str, object]) -> bool:
        """False when the connection is gone. Any other failure is one client's lost frame: it sees
        the hole in `seq` and subscribes again, and the other clients are not held up."""
        return self._post(connection_id, encoded(frame))

    def post_to_all(self, connection_ids: Sequence[str], frame: dict[str, object]) -> list[str]:
        """Those of the connections that are gone."""
        data = encoded(frame)
        if len(connection_ids) == 1:
            posted = [self._post(connection_ids[0], data)]
        else:
            posted = list(self._threads.map(lambda each: self._post(each, data), connection_ids))
        return [each for each, there in zip(connection_ids, posted, strict=True) if not there]

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

    def _post(self, connection_id: str, data: bytes) -> bool:
        try:
            self._client.post_to_connection(ConnectionId=connection_id, Data=data)
        except self._client.exceptions.GoneException:
            return False
        except (ClientError, BotoCoreError):
            log.exception("a frame was not delivered", extra={"connectionId": connection_id})
        return True
