"""The state machines pass the linter, and the linter finds what it is for."""

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from infra.packaging import ROOT
from infra.tests.asl import lint

FILES = sorted((ROOT / "infra/workflows").glob("*.asl.json"))
Machine = dict[str, Any]

CATCH = [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "Failed"}]
RETRY = [{"ErrorEquals": ["States.ALL"], "MaxAttempts": 3}]
GOOD: Machine = {
    "Comment": 'The input is {"taskId", "names"}.',
    "StartAt": "Ask",
    "States": {
        "Ask": {
            "Type": "Task",
            "Resource": "${Ask}",
            "Parameters": {"taskId.$": "$.taskId", "name.$": "$$.Execution.Name"},
            "ResultSelector": {"outcome.$": "$.outcome"},
            "ResultPath": "$.answer",
            "TimeoutSeconds": 1,
            "Retry": RETRY,
            "Catch": CATCH,
            "Next": "Which",
        },
        "Which": {
            "Type": "Choice",
            "Choices": [
                {"Variable": "$.answer.outcome", "StringEquals": "no", "Next": "Failed"},
                {
                    "And": [
                        {"Variable": "$.sure", "IsPresent": True},
                        {"Variable": "$.sure", "BooleanEquals": True},
                    ],
                    "Next": "Failed",
                },
            ],
            "Default": "Each",
        },
        "Each": {
            "Type": "Map",
            "ItemsPath": "$.names",
            "ItemSelector": {"taskId.$": "$.taskId", "text.$": "States.Format('{}', $.taskId)"},
            "ItemProcessor": {
                "StartAt": "Greet",
                "States": {
                    "Greet": {
                        "Type": "Task",
                        "Resource": "${Greet}",
                        "Parameters": {"text.$": "$.text"},
                        "TimeoutSeconds": 1,
                        "Retry": RETRY,
                        "End": True,
                    }
                },
            },
            "ResultPath": None,
            "Catch": CATCH,
            "End": True,
        },
        "Failed": {"Type": "Fail", "CausePath": "$.taskId"},
    },
}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_our_machines_are_sound(file: Any) -> None:
    assert lint(json.loads(file.read_text())) == []


def test_a_sound_machine_is_passed() -> None:
    assert lint(GOOD) == []


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda s: s["Ask"].update(Next="Nowhere"), "Nowhere does not exist"),
        (lambda s: s["Which"].update(Default="Failed"), "Each is never reached"),
        (lambda s: s["Which"].pop("Default"), "Which has no default"),
        (lambda s: s["Ask"].pop("Retry"), "Ask does not retry"),
        (lambda s: s["Ask"].pop("TimeoutSeconds"), "Ask has no timeout"),
        (lambda s: s["Ask"].pop("Catch"), "Ask does not catch every failure"),
        (lambda s: s["Each"].pop("Catch"), "Greet does not catch every failure"),
        (lambda s: s["Each"].pop("End"), "Each neither goes on nor ends"),
        (lambda s: s["Ask"].pop("ResultPath"), "Failed reads $.taskId"),
        (lambda s: s["Ask"].update(ResultPath=None), "Which reads $.answer.outcome"),
        (lambda s: s["Each"].update(ItemsPath="$.people"), "Each reads $.people"),
        (lambda s: s["Each"]["ItemSelector"].pop("text.$"), "Greet reads $.text"),
        (
            lambda s: s["Each"]["ItemSelector"].update({"x.$": "States.Array($.lost)"}),
            "Each reads $.lost",
        ),
        (
            lambda s: s["Ask"]["Parameters"].update({"to.$": "$.detail.taskId"}),
            "Ask reads $.detail.taskId",
        ),
        (
            lambda s: s["Ask"].update(Catch=[CATCH[0] | {"ResultPath": "$"}]),
            "Failed reads $.taskId",
        ),
        (
            lambda s: s["Ask"].update(Resource="arn:aws:states:::states:startExecution"),
            "Ask does not wait for the execution that it starts",
        ),
        (lambda s: s["Which"]["Choices"][1]["And"].pop(0), "Which reads $.sure"),
    ],
)
def test_what_is_wrong_is_told(spoil: Callable[[Machine], Any], told: str) -> None:
    machine = deepcopy(GOOD)
    spoil(machine["States"])
    assert told in lint(machine)
