"""API Gateway's side of a service's sockets, in process."""

import json
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import boto3
from common.sockets import Sockets


class Gateway:
    """Answers a real client's PostToConnection calls: remembers frames, and knows who is gone."""

    def __init__(self) -> None:
        self.posted: list[tuple[str, dict[str, Any]]] = []
        self.gone: set[str] = set()
        self.failing: set[str] = set()
        self.refusing: set[str] = set()
        self.closed: list[str] = []
        self.sockets = Sockets(self._client())

    def post(self, params: dict[str, Any], **_: object) -> tuple[SimpleNamespace, dict[str, Any]]:
        connection_id = unquote(params["url_path"].rpartition("/")[2])
        for refused, status, code in (
            (self.gone, 410, "GoneException"),
            (self.failing, 500, "InternalServerError"),
            (self.refusing, 429, "LimitExceededException"),
        ):
            if connection_id in refused:
                error = {"Error": {"Code": code, "Message": ""}, "ResponseMetadata": {}}
                return SimpleNamespace(status_code=status, headers={}), error
        self.posted.append((connection_id, json.loads(params["body"])))
        return SimpleNamespace(status_code=200, headers={}), {"ResponseMetadata": {}}

    def close(self, params: dict[str, Any], **_: object) -> tuple[SimpleNamespace, dict[str, Any]]:
        connection_id = unquote(params["url_path"].rpartition("/")[2])
        if connection_id in self.failing:
            error = {"Error": {"Code": "InternalServerError", "Message": ""}}
            return SimpleNamespace(status_code=500, headers={}), error | {"ResponseMetadata": {}}
        self.closed.append(connection_id)
        return SimpleNamespace(status_code=204, headers={}), {"ResponseMetadata": {}}

    def frames(self, connection_id: str) -> list[dict[str, Any]]:
        """What the connection received since the last time this was asked."""
        mine = [frame for to, frame in self.posted if to == connection_id]
        self.posted = [(to, frame) for to, frame in self.posted if to != connection_id]
        return mine

    def _client(self) -> Any:
        client = boto3.client("apigatewaymanagementapi", endpoint_url="https://sockets.invalid")
        client.meta.events.register("before-call.*.PostToConnection", self.post)
        client.meta.events.register("before-call.*.DeleteConnection", self.close)
        return client
