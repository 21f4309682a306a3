"""The platform's authorizer, asked as API Gateway asks it about a request."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from common.errors import Unauthenticated
from common.principals import Principal

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient


class Authorizer:
    def __init__(self, client: "LambdaClient", function: str) -> None:
        self._client = client
        self._function = function

    def principal(self, request: Mapping[str, Any]) -> Principal:
        """Who made a request like this one. Raises Unauthenticated, whatever was wrong."""
        asked = {"methodArn": "arn:aws:execute-api:::graphql/live/$default", **request}
        answer = self._client.invoke(FunctionName=self._function, Payload=json.dumps(asked))
        told = json.loads(answer["Payload"].read())
        if "FunctionError" in answer or not _is_allowed(told):
            raise Unauthenticated()
        return Principal.from_authorizer(told["context"])


def _is_allowed(told: Mapping[str, Any]) -> bool:
    return [each["Effect"] for each in told["policyDocument"]["Statement"]] == ["Allow"]
