"""Tools over a network that loses requests and answers."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
)
from chalicelib.tasks import invocations

from infra.tests.simulator_client import Simulator
from services.tasks.tests.workbench import Toolbox, Workbench, planned, tool, uses
from tests.service import Service

URL = "https://lambda.invalid"
Fault = Callable[[Toolbox, dict[str, Any]], Exception]


def _refusal(code: str, status: int) -> ClientError:
    answer = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "Invoke")  # type: ignore[arg-type]


def throttled(_toolbox: Toolbox, _request: dict[str, Any]) -> Exception:
    return _refusal("TooManyRequestsException", 429)


def out_of_reach(_toolbox: Toolbox, _request: dict[str, Any]) -> Exception:
    return EndpointConnectionError(endpoint_url=URL)


def never_connected(_toolbox: Toolbox, _request: dict[str, Any]) -> Exception:
    return ConnectTimeoutError(endpoint_url=URL)


def lost(toolbox: Toolbox, request: dict[str, Any]) -> Exception:
    """It did its work, and the answer got lost."""
    toolbox.calls.append(request)
    return ConnectionClosedError(endpoint_url=URL)


def broken(_toolbox: Toolbox, _request: dict[str, Any]) -> Exception:
    return _refusal("ServiceException", 500)


NEVER_CALLED = (throttled, out_of_reach, never_connected)
MAYBE_CALLED = (lost, broken)


def bench(
    tasks: Service, simulator: Simulator, fault: Fault, times: int, **fields: Any
) -> Workbench:
    """One call of a tool, whose first so many tries meet the fault."""
    toolbox, left = Toolbox(), [times]
    works = toolbox.behaviour

    def behave(request: dict[str, Any]) -> Any:
        if left[0] == 0:
            return works(request)
        left[0] -= 1
        raise fault(toolbox, request)

    toolbox.behaviour = behave
    step = uses("lookup", parameters={"n": 1})
    tools = [tool("lookup", **fields)]
    return Workbench(tasks, simulator, planned(step), toolbox=toolbox, tools=tools)


@pytest.mark.parametrize("fault", [*NEVER_CALLED, *MAYBE_CALLED])
def test_a_call_that_may_be_repeated_survives_the_network(
    tasks: Service, simulator: Simulator, fault: Fault
) -> None:
    work = bench(tasks, simulator, fault, times=2)
    assert work.run()["status"] == "completed"
    (call,) = work.invocations()
    assert (call["status"], call["output"]) == ("succeeded", '{"doubled": 2}')
    assert {each["idempotencyKey"] for each in work.toolbox.calls} == {call["id"]}


@pytest.mark.parametrize("fault", NEVER_CALLED)
def test_an_unsafe_call_that_never_happened_is_made(
    tasks: Service, simulator: Simulator, fault: Fault
) -> None:
    work = bench(tasks, simulator, fault, times=2, sideEffects="unsafe")
    assert work.run()["status"] == "completed"
    assert len(work.toolbox.calls) == 1


@pytest.mark.parametrize("fault", MAYBE_CALLED)
def test_an_unsafe_call_that_may_have_happened_is_not_repeated(
    tasks: Service, simulator: Simulator, fault: Fault
) -> None:
    work = bench(tasks, simulator, fault, times=1, sideEffects="unsafe")
    assert work.run()["error"]["code"] == "TOOL_OUTCOME_UNKNOWN"
    assert len(work.toolbox.calls) == (fault is lost)


@pytest.mark.parametrize("fault", [*NEVER_CALLED, *MAYBE_CALLED])
def test_a_network_that_stays_away_is_told_to_the_model(
    tasks: Service, simulator: Simulator, fault: Fault
) -> None:
    work = bench(tasks, simulator, fault, times=invocations.TRIES)
    work.run()
    (call,) = work.invocations()
    assert call["status"] == "failed"
    assert "lambda" not in str(call["output"])
