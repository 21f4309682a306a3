"""What the model is asked. Data stands in tags, so that it reads as data."""

import json
from typing import Any

from chalicelib.tasks.models import PlannedStep, Task, TaskFile

MAX_RESULT_CHARS = 32 * 1024


def planning(task: Task, tools: list[dict[str, Any]]) -> str:
    offered = [{k: tool[k] for k in ("name", "description", "parameters")} for tool in tools]
    return (
        "Plan how to carry out the task below. Use as few steps as it needs. Plan a tool_call only "
        "for the tools listed, and give its parameters if they are known already. Plan a decision "
        "only if what to do depends on an earlier result. The last step is a response. If the task "
        "can be answered at once, plan that single response and give the answer with it.\n"
        f"{_task(task)}\n<tools>{json.dumps(offered)}</tools>"
    )


def step(file: TaskFile, index: int) -> str:
    planned = file.agreed_plan.steps[index]
    return (
        "Carry out one step of the task below, and nothing else.\n"
        f"{_task(file.task)}\n"
        f"<results>{json.dumps(_results(file, index))}</results>\n"
        f'<step type="{planned.type}">{planned.description}</step>\n'
        f"{_options(planned)}{_HOW[planned.type]}"
    )


_HOW = {
    "reasoning": "Think it through and write down what you conclude.",
    "decision": "Choose one of the options, and say why.",
    "tool_call": "Call the tool, then state what it returned.",
    "response": "Write the answer for the user from the results.",
}


def _options(planned: PlannedStep) -> str:
    if not planned.options:
        return ""
    options = [option.wire() for option in planned.options]
    return f"<options>{json.dumps(options)}</options>\n"


def _task(task: Task) -> str:
    """With what other agents said, if they did: this one may have to build on it."""
    told = f"\n<messages>{task.messages}</messages>" if task.messages else ""
    return f"<task>{task.description}</task>{told}"


def _results(file: TaskFile, before: int) -> list[dict[str, str]]:
    steps = file.agreed_plan.steps
    return [
        {"step": steps[index].description, "output": cut(record.output)}
        for index, record in sorted(file.records.items())
        if index < before and record.output is not None
    ]


def cut(text: str) -> str:
    """What the model is shown of a long output; the record has all of it."""
    if len(text) <= MAX_RESULT_CHARS:
        return text
    return text[:MAX_RESULT_CHARS] + f" … [cut, {len(text)} characters in all]"
