"""The error envelope for what API Gateway refuses before a service sees it."""

_ERRORS = (
    ("UNAUTHORIZED", "401", "Unauthenticated"),
    ("ACCESS_DENIED", "403", "Forbidden"),
    ("MISSING_AUTHENTICATION_TOKEN", "404", "NotFound"),
    ("DEFAULT_4XX", None, "BadRequest"),
    ("DEFAULT_5XX", None, "InternalError"),
)


def _template(code: str) -> str:
    error = f'"code": "{code}", "message": $context.error.messageString'
    when = '"requestId": "$context.requestId", "timestamp": "$context.requestTime"'
    return f'{{"error": {{{error}, {when}}}}}'


def gateway_responses() -> dict[str, object]:
    """The OpenAPI extension `x-amazon-apigateway-gateway-responses`."""
    return {
        kind: {"responseTemplates": {"application/json": _template(code)}}
        | ({"statusCode": status} if status else {})
        for kind, status, code in _ERRORS
    }
