"""What the REST API that Chalice makes of a service still needs to be one of the platform's."""

import json
from typing import Any, cast

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sam as sam
from chalice.cdk import Chalice

from infra.alarms import FIVE_MINUTES
from infra.cache_access import CacheAccess
from infra.gateway_errors import gateway_responses
from infra.grants import may_read_secret
from infra.stage import Stage

REQUESTS_PER_SECOND = 500
REQUESTS_AT_ONCE = 1000
ACCESS_LOG = {
    "requestId": "$context.requestId",
    "time": "$context.requestTime",
    "method": "$context.httpMethod",
    "path": "$context.path",
    "status": "$context.status",
    "durationMs": "$context.responseLatency",
    "address": "$context.identity.sourceIp",
    "error": "$context.error.message",
}
"""No header and no query: credentials travel in them."""


def authorizer_uri(stack: cdk.Stack, stage: Stage) -> str:
    """Where API Gateway finds the shared authorizer."""
    function = stack.format_arn(
        service="lambda",
        resource="function",
        resource_name=stage.authorizer,
        arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
    )
    path = f"lambda:path/2015-03-31/functions/{function}/invocations"
    return f"arn:{stack.partition}:apigateway:{stack.region}:{path}"


class RestApi:
    def __init__(self, stack: cdk.Stack, stage: Stage, service: str, chalice: Chalice) -> None:
        self._stack = stack
        self._service = service
        self._stage = stage
        api, handler = chalice.get_resource("RestAPI"), chalice.get_resource("APIHandler")
        assert isinstance(api, sam.CfnApi)
        assert isinstance(handler, sam.CfnFunction)
        self._api = api
        self._handler = handler

    @property
    def id(self) -> str:
        return self._api.ref

    @property
    def _name(self) -> str:
        """Metrics know an API by its name, which must not be that of another stage's."""
        return self._stage.named(self._service)

    @property
    def url(self) -> str:
        return self._stage.rest_endpoint(self.id, self._stack.region)

    @property
    def paths(self) -> list[str]:
        return sorted(self._document["paths"])

    @property
    def server_errors(self) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace="AWS/ApiGateway",
            metric_name="5XXError",
            statistic="Sum",
            period=FIVE_MINUTES,
            dimensions_map={"ApiName": self._name, "Stage": "api"},
        )

    @property
    def _document(self) -> dict[str, Any]:
        return cast(dict[str, Any], self._api.definition_body)

    def ask_the_authorizer(self) -> lambda_.CfnPermission:
        """The permission to do so: it names the authorizer, which must be there before."""
        permission = lambda_.CfnPermission(
            self._stack,
            "MayAuthorize",
            action="lambda:InvokeFunction",
            function_name=self._stage.authorizer,
            principal="apigateway.amazonaws.com",
            source_arn=self._stack.format_arn(
                service="execute-api", resource=self.id, resource_name="authorizers/*"
            ),
        )
        definitions = _seeing_the_request(self._document["securityDefinitions"])
        self._api.definition_body = self._document | {"securityDefinitions": definitions}
        return permission

    def render_errors(self) -> None:
        """In the OpenAPI document, not as resources: a deployment takes a snapshot of it."""
        responses = {"x-amazon-apigateway-gateway-responses": gateway_responses()}
        info = self._document["info"] | {"title": self._name}
        self._api.definition_body = self._document | responses | {"info": info}

    def limit_and_log(self, log_group: logs.LogGroup) -> None:
        """For the account's sake: users and addresses are limited by the service itself."""
        if not self._stage.observes:
            return
        self._api.method_settings = [
            {
                "HttpMethod": "*",
                "ResourcePath": "/*",
                "ThrottlingRateLimit": REQUESTS_PER_SECOND,
                "ThrottlingBurstLimit": REQUESTS_AT_ONCE,
                "MetricsEnabled": True,
            }
        ]
        self._api.access_log_setting = sam.CfnApi.AccessLogSettingProperty(
            destination_arn=log_group.log_group_arn, format=json.dumps(ACCESS_LOG)
        )
        self._api.tracing_enabled = True

    def count_requests(self, role: iam.Role, cache: CacheAccess) -> None:
        """Where the counters are, and what a limit is about."""
        cache.give(self._handler)
        limit = str(self._stage.address_requests_per_minute)
        variables = {"ADDRESS_REQUESTS_PER_MINUTE": limit}
        if self._stage.has_cloudfront:
            variables["FRONT_DOOR_SECRET"] = self._stage.named("front-door")
            may_read_secret(self._stack, role, self._stage.named("front-door"))
        for name, value in variables.items():
            self.set_variable(name, value)

    def set_variable(self, name: str, value: str) -> None:
        """In the environment of the function that answers."""
        self._handler.add_property_override(f"Environment.Variables.{name}", value)


def _seeing_the_request(definitions: dict[str, Any]) -> dict[str, Any]:
    """Chalice knows only authorizers that get one header; ours also needs the address, and to see
    a second credential. Answers are kept per Authorization header all the same."""
    kind = "x-amazon-apigateway-authorizer"
    source = {"type": "request", "identitySource": "method.request.header.Authorization"}
    return {name: each | {kind: each[kind] | source} for name, each in definitions.items()}
