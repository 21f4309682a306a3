"""How many tasks a user may have going, and how many tokens their models may take in a day."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
from botocore.exceptions import ClientError
from chalicelib.tasks.models import PlannedStep, Task, TaskFile, TaskPlan
from chalicelib.tasks.use_cases.at_work import Work
from common.errors import Conflict
from common.principals import Permission, Principal
from common.quotas import Quotas
from hypothesis import given
from hypothesis import strategies as st

from infra.tests.simulator_client import PROVIDERS, Simulator
from services.tasks.tests.test_execution import ScriptedRuntime
from tests import agents
from tests.service import Answer, Service, user
from tests.strategies import emptied, without_table

ONE_STEP = TaskPlan(steps=[PlannedStep(type="response", description="answer")])
THINK_FIRST = {
    "plan": {
        "steps": [
            {"type": "reasoning", "description": "think"},
            {"type": "response", "description": "answer"},
        ]
    }
}


def with_quota(name: str = "ada", **quotas: int) -> Principal:
    return user(name, quotas=Quotas(**quotas))


def post(tasks: Service, by: Principal, **options: Any) -> Answer:
    """For the agent that is called like its owner."""
    path = f"/agents/{by.user_id}/tasks"
    return tasks.request("POST", path, {"description": "Say hello"}, by=by, **options)


def cancel(tasks: Service, task_id: str, by: Principal) -> int:
    path = f"/agents/{by.user_id}/tasks/{task_id}/cancel"
    return tasks.request("POST", path, by=by).status


def read(tasks: Service, task_id: str, by: Principal) -> dict[str, Any]:
    return dict(tasks.request("GET", f"/agents/{by.user_id}/tasks/{task_id}", by=by).body)


def usage(tasks: Service, by: Principal) -> dict[str, Any]:
    answer = tasks.request("GET", "/usage", by=by)
    assert answer.status == 200, answer
    return dict(answer.body)


def active(tasks: Service, by: Principal) -> int:
    return int(usage(tasks, by)["activeTasks"]["used"])


def tokens(tasks: Service, by: Principal) -> int:
    return int(usage(tasks, by)["tokensPerDay"]["used"])


def spend(tasks: Service, by: Principal, amount: int) -> None:
    day = datetime.now(UTC).date().isoformat()
    tasks.module.store().usage.add_tokens(by.user_id, "agent", day, amount)


@pytest.fixture
def known(tasks: Service) -> Service:
    """Ada and Grace have an agent each."""
    tasks.consume(agents.created("ada"), agents.created("grace", owner="grace"))
    return tasks


@pytest.fixture
def scripted(known: Service) -> Iterator[ScriptedRuntime]:
    runtime, real = ScriptedRuntime(ONE_STEP), known.module.runtime
    known.module.runtime = lambda: runtime  # type: ignore[attr-defined]
    yield runtime
    known.module.runtime = real  # type: ignore[attr-defined]


def end(tasks: Service, task_id: str, how: str, by: Principal) -> None:
    """As the machine, or as the client does; each of its functions twice."""
    if how == "cancelled":
        assert cancel(tasks, task_id, by) == 200
        return
    names = ("initialize_task", "plan_task", "execute_step", "complete_task")
    for name in names if how == "completed" else ("handle_error",):
        for _ in range(2):
            tasks.call(name, {"taskId": task_id, "attempt": 1, "steps": [0]})
    assert read(tasks, task_id, by)["status"] == how


def test_a_user_has_as_many_active_tasks_as_their_quota(known: Service) -> None:
    ada = with_quota(active_tasks=2)
    assert [post(known, ada).status for _ in range(3)] == [201, 201, 429]
    assert active(known, ada) == 2


def test_a_refusal_names_the_quota_and_writes_nothing(known: Service) -> None:
    before = known.rows()
    refused = post(known, with_quota(active_tasks=0), headers={"Idempotency-Key": "once"})
    assert (refused.status, refused.body["error"]["code"]) == (429, "QuotaExceeded")
    details = refused.body["error"]["details"]
    assert details == {"quota": "activeTasks", "limit": 0, "retryAfterSeconds": 60}
    assert refused.headers["Retry-After"] == "60"
    assert known.rows() == before


@pytest.mark.parametrize("how", ["completed", "failed", "cancelled"])
def test_a_task_that_has_ended_makes_room_once(
    known: Service, scripted: ScriptedRuntime, how: str
) -> None:
    ada = with_quota(active_tasks=2)
    first, _ = (post(known, ada).body["id"] for _ in range(2))
    assert post(known, ada).status == 429
    end(known, first, how, ada)
    assert cancel(known, first, ada) == 409
    assert active(known, ada) == 1
    assert [post(known, ada).status for _ in range(2)] == [201, 429]


def test_the_first_end_of_a_task_is_the_one_that_counts(
    known: Service, scripted: ScriptedRuntime
) -> None:
    ada = with_quota(active_tasks=2)
    task_id, _ = (post(known, ada).body["id"] for _ in range(2))
    scripted.before_step = lambda index: cancel(known, task_id, ada)
    known.call("initialize_task", {"taskId": task_id})
    known.call("plan_task", {"taskId": task_id})
    with pytest.raises(Conflict):
        known.call("execute_step", {"taskId": task_id, "attempt": 1, "steps": [0]})
    for name in ("execute_step", "complete_task", "handle_error"):
        known.call(name, {"taskId": task_id, "attempt": 1, "steps": [0]})
    assert active(known, ada) == 1


def test_the_tasks_of_a_deleted_agent_make_room_once(known: Service) -> None:
    ada = with_quota(active_tasks=3)
    known.consume(agents.created("other"))
    for _ in range(2):
        post(known, ada)
    known.request("POST", "/agents/other/tasks", {"description": "Say hello"}, by=ada)
    deletion = agents.deleted("ada", version=2)
    assert [known.consume(deletion) for _ in range(2)] == [[], []]
    assert active(known, ada) == 1


def test_nobody_uses_up_what_is_somebody_elses(known: Service) -> None:
    ada, grace = with_quota("ada", active_tasks=1), with_quota("grace", active_tasks=1)
    assert [post(known, by).status for by in (ada, ada, grace)] == [201, 429, 201]
    spend(known, ada, 10)
    assert (tokens(known, ada), tokens(known, grace)) == (10, 0)


def test_a_repeated_creation_at_the_limit_is_answered_as_before(known: Service) -> None:
    ada, key = with_quota(active_tasks=1, tokens_per_day=5), {"Idempotency-Key": "once"}
    first = post(known, ada, headers=key)
    spend(known, ada, 5)
    again = post(known, ada, headers=key)
    assert (first.status, again.status, again.body) == (201, 201, first.body)
    assert post(known, ada).status == 429
    assert active(known, ada) == 1


@given(
    moves=st.lists(
        st.tuples(
            st.sampled_from(["create", "completed", "failed", "cancelled"]),
            st.sampled_from(["ada", "grace"]),
        ),
        max_size=10,
    ),
    limit=st.integers(0, 3),
)
def test_the_count_is_the_number_of_active_tasks_and_never_above_the_limit(
    known: Service, scripted: ScriptedRuntime, moves: list[tuple[str, str]], limit: int
) -> None:
    with emptied(known):
        known.consume(agents.created("ada"), agents.created("grace", owner="grace"))
        going: dict[str, list[str]] = {"ada": [], "grace": []}
        for move, name in moves:
            owner, mine = with_quota(name, active_tasks=limit), going[name]
            if move != "create":
                if mine:
                    end(known, mine.pop(), move, owner)
            elif (answer := post(known, owner)).status == 201:
                mine.append(answer.body["id"])
            else:
                assert (answer.status, len(mine)) == (429, limit)
            assert active(known, owner) == len(mine) <= limit


@pytest.mark.parametrize(("used", "status"), [(9, 201), (10, 429), (11, 429)])
def test_without_tokens_no_task_is_taken_until_midnight(
    known: Service, used: int, status: int
) -> None:
    ada = with_quota(tokens_per_day=10)
    spend(known, ada, used)
    before = known.rows()
    answer = post(known, ada)
    assert answer.status == status
    if status == 429:
        error = answer.body["error"]
        assert (error["code"], error["details"]["quota"]) == ("QuotaExceeded", "tokensPerDay")
        come_back = datetime.fromtimestamp(time.time() + int(answer.headers["Retry-After"]), UTC)
        assert (come_back.hour, come_back.minute) == (0, 0)
        assert known.rows() == before


def test_yesterdays_tokens_are_not_todays(known: Service) -> None:
    ada = with_quota(tokens_per_day=10)
    known.module.store().usage.add_tokens("ada", "agent", "2020-01-01", 10)
    assert post(known, ada).status == 201


def test_what_was_counted_of_a_day_expires(known: Service) -> None:
    spend(known, with_quota(), 1)
    rows = [row for row in known.rows() if str(row["SK"]).startswith("TOKENS#")]
    assert len(rows) == 2, "the day's, and the agent's"
    for row in rows:
        assert 6 * 24 * 3600 < int(row["TTL"]) - time.time() < 8 * 24 * 3600


def test_usage_is_told_with_its_limits(known: Service) -> None:
    ada = with_quota(active_tasks=3, tokens_per_day=100)
    post(known, ada)
    spend(known, ada, 7)
    told = usage(known, ada)
    assert told.pop("resetsAt").endswith("T00:00:00.000Z")
    assert told == {
        "activeTasks": {"used": 1, "limit": 3},
        "tokensPerDay": {"used": 7, "limit": 100},
        "agents": [{"agentId": "agent", "tokens": 7}],
    }
    writer = user("ada", (Permission("tasks", ("write",)),))
    assert known.request("GET", "/usage", by=writer).status == 403


class Asked:
    """Ada's task on a simulated model of its own."""

    _numbers = count()

    def __init__(
        self, tasks: Service, simulator: Simulator, provider: str, *replies: Any, limit: int
    ) -> None:
        self.tasks, self.simulator = tasks, simulator
        self.model = f"quota-{next(self._numbers)}"
        self.ada = with_quota(tokens_per_day=limit)
        simulator.script(self.model, *replies)
        made = agents.created(self.model, model=self.model, llmProvider=provider)
        assert tasks.consume(made) == []
        path = f"/agents/{self.model}/tasks"
        answer = tasks.request("POST", path, {"description": "Say hello"}, by=self.ada)
        assert answer.status == 201, answer
        self.path, self.id = f"{path}/{answer.body['id']}", str(answer.body["id"])
        self.call("initialize_task")

    def call(self, name: str, step: int = 0) -> str:
        return str(
            self.tasks.call(name, {"taskId": self.id, "attempt": 1, "steps": [step]})["outcome"]
        )

    def get(self) -> dict[str, Any]:
        return dict(self.tasks.request("GET", self.path, by=self.ada).body)

    def stored(self) -> Task:
        found: Task = self.tasks.module.store().tasks.get(self.id)
        return found

    def turns(self) -> int:
        return len(self.simulator.seen(self.model))


@pytest.mark.filterwarnings("ignore:Native structured output")
@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_turn_of_a_model_is_counted(
    tasks: Service, simulator: Simulator, provider: str
) -> None:
    spent = []
    for replies in ([THINK_FIRST], [THINK_FIRST], [{"text": "No plan."}, THINK_FIRST]):
        asked = Asked(tasks, simulator, provider, *replies, limit=10**6)
        before = tokens(tasks, asked.ada)
        assert asked.call("plan_task") == "planned"
        assert asked.turns() == len(replies)
        spent.append(tokens(tasks, asked.ada) - before)
    assert 0 < spent[0] == spent[1] < spent[2]
    before = tokens(tasks, asked.ada)
    assert asked.call("execute_step") == "completed"
    assert tokens(tasks, asked.ada) > before


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_failed_call_takes_no_tokens(tasks: Service, simulator: Simulator, provider: str) -> None:
    asked = Asked(tasks, simulator, provider, {"status": 400}, limit=1)
    assert asked.call("plan_task") == "failed"
    assert asked.get()["error"]["code"] == "LLM_REFUSED"
    assert tokens(tasks, asked.ada) == 0


def test_the_turns_before_a_failed_call_are_counted(tasks: Service, simulator: Simulator) -> None:
    nonsense = {"toolCalls": [{"name": "NoSuchTool", "arguments": {}}]}
    asked = Asked(tasks, simulator, "openai", nonsense, {"status": 401}, limit=10**6)
    assert asked.call("plan_task") == "failed"
    assert asked.get()["error"]["code"] == "LLM_AUTH"
    assert tokens(tasks, asked.ada) > 0


def assert_failed_for_want_of_tokens(asked: Asked) -> None:
    assert asked.call("complete_task") == "failed"
    assert asked.call("handle_error") == "failed"
    task = asked.get()
    assert (task["status"], task["error"]["code"]) == ("failed", "QUOTA_EXCEEDED")
    assert "1 model tokens of the day" in task["error"]["message"]
    assert active(asked.tasks, asked.ada) == 0


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_task_ends_when_its_tokens_are_used_up_before_it_is_planned(
    tasks: Service, simulator: Simulator, provider: str
) -> None:
    asked = Asked(tasks, simulator, provider, limit=1)
    spend(tasks, asked.ada, 1)
    assert [asked.call("plan_task") for _ in range(2)] == ["failed", "failed"]
    assert asked.turns() == 0
    assert_failed_for_want_of_tokens(asked)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_turn_that_goes_over_is_the_last(
    tasks: Service, simulator: Simulator, provider: str
) -> None:
    asked = Asked(tasks, simulator, provider, THINK_FIRST, limit=1)
    assert asked.call("plan_task") == "planned"
    assert [asked.call("execute_step", step) for step in (0, 1)] == ["failed", "skipped"]
    assert asked.turns() == 1
    assert_failed_for_want_of_tokens(asked)


def test_a_turn_after_a_tool_is_a_turn(tasks: Service, simulator: Simulator) -> None:
    """What the model asked for is done, but not told to it any more."""
    nonsense = {"toolCalls": [{"name": "NoSuchTool", "arguments": {}}]}
    asked = Asked(tasks, simulator, "openai", nonsense, limit=1)
    assert asked.call("plan_task") == "failed"
    assert asked.turns() == 1
    assert_failed_for_want_of_tokens(asked)


def test_tokens_that_can_not_be_counted_are_no_failure_of_the_agents(
    tasks: Service, simulator: Simulator
) -> None:
    asked = Asked(tasks, simulator, "openai", limit=1)
    store, task = tasks.module.store(), asked.stored()
    work = Work(TaskFile(task=task), store.agents.get(asked.model))
    job = work.job(store.journals.open(task.id, "plan"), lambda: 300)
    with without_table(tasks), pytest.raises(ClientError):
        tasks.module.runtime().plan(job, task)


def test_a_task_keeps_the_limit_that_its_owner_had(tasks: Service, simulator: Simulator) -> None:
    asked = Asked(tasks, simulator, "openai", limit=123)
    assert asked.stored().tokens_per_day == 123
    assert "tokensPerDay" not in asked.get()
