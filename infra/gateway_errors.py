"""The error envelope for what API Gateway refuses before a service sees it."""

_ERRORS = (
    ("UNAUTHORIZED", "401", "Unauthenticated"),
    # The authorizer denies only an address that failed too often; scopes are the services' own.
    ("ACCESS_DENIED", "429", "TooManyRequests"),
    ("THROTTLED", "429", "TooManyRequests"),
    ("MISSING_AUTHENTICATION_TOKEN", "404", "NotFound"),
    ("DEFAULT_4XX", None, "BadRequest"),
    ("DEFAULT_5XX", None, "InternalError"),
)


_MESSAGES = {
    "Unauthenticated": '"The credentials are missing or not valid"',
    "TooManyRequests": '"Too many requests"',
}
_RETRY_LATER = {"responseParameters": {"gatewayresponse.header.Retry-After": "'60'"}}


def _template(code: str) -> str:
    message = _MESSAGES.get(code, "$context.error.messageString")
    error = f'"code": "{code}", "message": {message}'
    when = '"requestId": "$context.requestId", "timestamp": "$context.requestTime"'
    return f'{{"error": {{{error}, {when}}}}}'


def gateway_responses() -> dict[str, object]:
    """The OpenAPI extension `x-amazon-apigateway-gateway-responses`."""
    return {
        kind: {"responseTemplates": {"application/json": _template(code)}}
        | ({"statusCode": status} if status else {})
        | (_RETRY_LATER if status == "429" else {})
        for kind, status, code in _ERRORS
    }
