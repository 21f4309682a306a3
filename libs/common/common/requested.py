"""Requests that arrive as events are carried out by the use cases that serve REST."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import ValidationError

from common.context import cause
from common.dynamo import Table
from common.errors import AppError, Invalid
from common.events.requests import Request, RequestRejectedV1
from common.models import Model
from common.principals import Principal

M = TypeVar("M", bound=Model)


def carry_out(
    table: Table, request: Request, scope: str, act: Callable[[Principal], object]
) -> None:
    """What `act` writes, or else the refusal, commits together with the request's inbox row: once,
    however often the request comes. What may work later is left to the queue."""
    before = cause.set(request)
    try:
        act(request.principal.require(scope))
    except AppError as refused:
        if refused.status >= 500:
            raise
        table.write(events=[RequestRejectedV1.of(request, refused)], cause=request)
    finally:
        cause.reset(before)


def validated(model: type[M], value: dict[str, Any]) -> M:
    """As the body of a REST request is."""
    try:
        return model.from_client(json.dumps(value))
    except ValidationError as error:
        raise Invalid.from_validation(error) from error
