"""Executions that die outside of our code: the task says so, and can be tried again."""

import uuid

import pytest

from tests.deployed import plans
from tests.platform import CALCULATOR, Platform, eventually

pytestmark = [pytest.mark.deployed, pytest.mark.e2e]


def test_a_task_whose_execution_was_aborted_fails_and_goes_on_when_retried(
    platform: Platform,
) -> None:
    with platform.api() as api:
        model = f"aborted-{uuid.uuid4()}"
        platform.script(model, {"plan": {"steps": [plans.asks_first()]}}, {"text": "two"})
        task = api.task(api.agent(CALCULATOR, model=model)["id"], "Add")
        first = eventually(lambda: plans.pending(api, task))
        assert first

        machine = platform.aws("stepfunctions")
        machine.stop_execution(executionArn=platform.execution_arn(f"{task['id']}-1"))
        failed = api.finished(task)
        assert (failed["status"], failed["error"]["code"]) == ("failed", "EXECUTION_FAILED")

        path = f"/agents/{task['agentId']}/tasks/{task['id']}"
        assert api.post(f"{path}/retry").status_code == 200
        second = eventually(lambda: plans.pending(api, task))
        assert second
        assert second["id"] != first["id"], "another attempt asks anew"
        api.post(f"/approvals/{second['id']}", json={"decision": "approve"}).raise_for_status()
        ended = api.finished(task)
        assert (ended["status"], ended["result"], ended["attempt"]) == ("completed", "two", 2)
        assert len(platform.model_requests(model)) == 2
