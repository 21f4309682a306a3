"""The edge of a service: a Chalice app whose operations say who may call them, and whose errors
are rendered in one place."""

import functools
import logging
import os
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar, cast

from chalice.app import Chalice, CustomAuthorizer, Request, Response

from common import logs, tracing
from common.addresses import client_address, network
from common.clock import timestamp
from common.context import correlation_id
from common.errors import AppError, TooManyRequests, envelope
from common.freshness import AUTHORIZER_ANSWER_SECONDS
from common.idempotency import Once, Replayed
from common.operations import Handler, Operation
from common.rate_limits import Limit
from common.requests import caller, header_or, path_id
from common.service import rate_limiter

log = logging.getLogger(__name__)
H = TypeVar("H", bound=Handler)
Function = Callable[[Any, Any], Any]
NO_HEADERS: Mapping[str, str] = MappingProxyType({})

# Chalice wants the authorizer when routes are declared; infra sets its URI while it packages, and
# at run time API Gateway has already called it.
authorizer = CustomAuthorizer(
    "platform",
    authorizer_uri=os.environ.get("AUTHORIZER_URI", "set-when-packaged"),
    ttl_seconds=AUTHORIZER_ANSWER_SECONDS,
)


class ServiceApp(Chalice):
    """A Chalice app with JSON logs, one line per invocation, and errors rendered in one place."""

    def __init__(self, name: str) -> None:
        super().__init__(app_name=name, configure_logs=False)
        logs.configure()
        self.operations: list[Operation] = []
        self.middleware("http")(_trace)
        self.middleware("all")(_log_outcome)
        self.middleware("http")(_tell_rate_limit)
        self.middleware("http")(_render_errors)

    @property
    def request(self) -> Request:
        """The request that the running operation serves."""
        return cast(Request, self.current_request)

    def lambda_function(self, name: str | None = None) -> Callable[[Function], Any]:
        """A function whose traces are told, under its name."""
        register = super().lambda_function(name=name)

        def registered(function: Function) -> Any:
            @functools.wraps(function)
            def run(event: Any, context: Any) -> Any:
                about = {"faas.invocation_id": getattr(context, "aws_request_id", "")}
                with tracing.invocation(name or function.__name__, about):
                    return function(event, context)

            return register(run)

        return registered

    def count(self, *limits: Limit) -> None:
        """Counts the running request, before anything is done for it. Raises TooManyRequests."""
        standing = rate_limiter().count(*limits)
        if standing is None:
            return
        self.request.context["rateLimit"] = standing.header_fields()
        if standing.exceeded:
            name, most, window = standing.limit.name, standing.limit.quota, standing.window
            message = f"This {name} has made more than {most} requests in {window} s"
            raise TooManyRequests(message, standing.seconds_left)

    def operation(
        self,
        method: str,
        path: str,
        scope: str | None = None,
        *,
        status: int = 200,
        headers: Mapping[str, str] = NO_HEADERS,
        raises: tuple[type[AppError], ...] = (),
    ) -> Callable[[H], H]:
        """A route for callers who hold `scope`. Its handler gets the caller, the path's ids and
        what else it names (`common.operations`), and returns what is answered with `status`."""
        declared: dict[str, Any] = {"status": status, "headers": headers, "raises": raises}

        def register(handler: H) -> H:
            told = Operation.of(handler, method, path, scope=scope, public=False, **declared)

            @functools.wraps(handler)
            def handle(**ids: str) -> Response:
                user = caller(self.request)
                self.count(Limit.of_user(user), _of_address(self.request))
                if scope:
                    user.require(scope)
                named = {name: path_id(value) for name, value in ids.items()}
                return told.response(handler(user, **named, **told.arguments(self.request)))

            self.operations.append(told)
            self.route(path, methods=[method], authorizer=authorizer)(handle)
            return handler

        return register

    def public(
        self,
        method: str,
        path: str,
        *,
        is_limited: bool = True,
        headers: Mapping[str, str] = NO_HEADERS,
        raises: tuple[type[AppError], ...] = (),
    ) -> Callable[[H], H]:
        """A route without the authorizer: for what is no secret, or brings its own credential."""
        declared: dict[str, Any] = {"status": 200, "headers": headers, "raises": raises}

        def register(handler: H) -> H:
            told = Operation.of(handler, method, path, scope=None, public=True, **declared)

            @functools.wraps(handler)
            def handle(**ids: str) -> Response:
                if is_limited:
                    self.count(_of_address(self.request))
                return told.response(handler(**ids, **told.arguments(self.request)))

            self.operations.append(told)
            self.route(path, methods=[method])(handle)
            return handler

        return register


def _trace(request: Request, get_response: Callable[[Any], Any]) -> Response:
    """The request's span goes on with the client's trace, if it names one. It tells the route, not
    the path: clients put into that what does not belong there."""
    route = request.context.get("resourcePath", "")
    about: dict[str, tracing.Value] = {
        "http.request.method": request.method,
        "http.route": route,
        "aws.request_id": request.context.get("requestId", ""),
    }
    name, parent = f"{request.method} {route}", request.headers.get("traceparent")
    with (
        tracing.invocation(name),
        tracing.continued(parent),
        tracing.span(name, tracing.Kind.SERVER, about) as span,
    ):
        response: Response = get_response(request)
        span.attributes["http.response.status_code"] = response.status_code
        if response.status_code >= 500:
            span.error = str(response.status_code)
        response.headers["traceresponse"] = span.place.traceparent
    return response


def _log_outcome(event: Any, get_response: Callable[[Any], Any]) -> Any:
    started = time.perf_counter()
    response = get_response(event)
    extra: dict[str, object] = {"durationMs": round((time.perf_counter() - started) * 1000, 1)}
    if isinstance(event, Request):
        extra |= {"method": event.method, "path": event.path, "status": response.status_code}
    log.info("handled", extra=extra)
    return response


def _of_address(request: Request) -> Limit:
    quota = int(os.environ.get("ADDRESS_REQUESTS_PER_MINUTE", "6000"))
    return Limit("address", network(client_address(request.context, request.headers)), quota)


def _tell_rate_limit(request: Request, get_response: Callable[[Any], Any]) -> Response:
    response: Response = get_response(request)
    response.headers |= request.context.get("rateLimit", {})
    return response


def _render_errors(request: Request, get_response: Callable[[Any], Any]) -> Response:
    request_id = request.context.get("requestId", "")
    correlation_id.set(header_or(request, "x-correlation-id", request_id))
    try:
        response: Response = get_response(request)
    except Replayed as replayed:
        response = _replayed(replayed.answer)
    except AppError as error:
        refused = _error_response(
            error.status, error.code, error.message, error.details, request_id
        )
        if isinstance(error, TooManyRequests):
            refused.headers["Retry-After"] = str(error.retry_after)
        return refused
    if response.status_code >= 400 and isinstance(response.body, dict) and "Code" in response.body:
        code, message = response.body["Code"], response.body["Message"]
        if response.status_code >= 500:
            code, message = (
                "InternalError",
                "Something went wrong; the request id finds it in the log",
            )
        refused = _error_response(response.status_code, code, message, None, request_id)
        refused.headers |= {k: v for k, v in response.headers.items() if k == "Allow"}
        return refused
    response.headers.setdefault("X-Request-Id", request_id)
    return response


def _replayed(answer: Once) -> Response:
    headers: dict[str, str | list[str]] = {
        "Content-Type": "application/json",
        "Idempotent-Replayed": "true",
    }
    headers |= {"ETag": answer.etag} if answer.etag else {}
    return Response(answer.body, headers, answer.status)


def _error_response(
    status: int, code: str, message: str, details: object, request_id: str
) -> Response:
    body = envelope(code, message, details, request_id, timestamp())
    return Response(body, {"X-Request-Id": request_id}, status)
