"""The WebSocket API of a service, all of whose routes are its function `socket`."""

import json

import aws_cdk as cdk
from aws_cdk import aws_apigatewayv2 as apigatewayv2
from aws_cdk import aws_apigatewayv2_authorizers as authorizers
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs

from infra.service_stack import ServiceStack
from infra.stage import WEBSOCKET_STAGE

THROTTLE = apigatewayv2.ThrottleSettings(rate_limit=2000, burst_limit=1000)
"""Handshakes and messages per second, of everybody."""

ACCESS_LOG = {
    "requestId": "$context.requestId",
    "time": "$context.requestTime",
    "route": "$context.routeKey",
    "event": "$context.eventType",
    "connectionId": "$context.connectionId",
    "status": "$context.status",
    "address": "$context.identity.sourceIp",
    "error": "$context.error.message",
}


def open_sockets(stack: ServiceStack, *posting: str, guarded: bool = True) -> str:
    """The shared authorizer guards it, or `socket` itself does, which then may ask the authorizer;
    the functions `posting` learn where to post frames to. Returns where clients connect to."""
    api = _api(stack, guarded)
    live = apigatewayv2.WebSocketStage(
        stack,
        "Live",
        web_socket_api=api,
        stage_name=WEBSOCKET_STAGE,
        auto_deploy=True,
        throttle=THROTTLE,
    )
    if stack.stage.observes:
        _log(live, stack.log_group)
    live.grant_management_api_access(stack.role)
    stack.publish_parameter(api.api_id, "websocket-api")
    endpoint = stack.stage.websocket_endpoint(api.api_id, stack.region)
    for name in posting:
        stack.function(name).add_property_override(
            "Environment.Variables.WEBSOCKET_ENDPOINT", endpoint
        )
    return stack.stage.websocket_url(stack.service, api.api_id, stack.region)


def _log(live: apigatewayv2.WebSocketStage, log_group: logs.LogGroup) -> None:
    stage = live.node.default_child
    assert isinstance(stage, apigatewayv2.CfnStage)
    stage.access_log_settings = apigatewayv2.CfnStage.AccessLogSettingsProperty(
        destination_arn=log_group.log_group_arn, format=json.dumps(ACCESS_LOG)
    )


def _api(stack: ServiceStack, guarded: bool) -> apigatewayv2.WebSocketApi:
    socket = integrations.WebSocketLambdaIntegration(
        "Socket", _function_at(stack, "SocketFunction", stack.function_arn("socket"))
    )
    route = apigatewayv2.WebSocketRouteOptions
    return apigatewayv2.WebSocketApi(
        stack,
        "WebSocketApi",
        api_name=stack.stage.named(f"{stack.service}-socket"),
        route_selection_expression="$request.body.action",
        connect_route_options=route(
            integration=socket, authorizer=_authorizer(stack) if guarded else None
        ),
        disconnect_route_options=route(integration=socket),
        default_route_options=route(integration=socket),
    )


def _authorizer(stack: ServiceStack) -> authorizers.WebSocketLambdaAuthorizer:
    """Asked about every handshake: without an identity source API Gateway refuses none before, and
    browsers have no Authorization header to name as one."""
    arn = stack.format_arn(
        service="lambda",
        resource="function",
        resource_name=stack.stage.authorizer,
        arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
    )
    return authorizers.WebSocketLambdaAuthorizer(
        "SocketAuthorizer", _function_at(stack, "Authorizer", arn), identity_source=[]
    )


def _function_at(stack: ServiceStack, name: str, arn: str) -> lambda_.IFunction:
    """`same_environment`, or CDK would not let API Gateway invoke what it did not make."""
    return lambda_.Function.from_function_attributes(
        stack, name, function_arn=arn, same_environment=True
    )
