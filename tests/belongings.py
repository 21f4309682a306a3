"""What a user has in a service in process, made the way it comes about."""

from collections.abc import Callable
from typing import Any

from common.clock import timestamp
from common.events.approvals import ApprovalRequestedV1
from common.events.schedules import ScheduleChangedV1
from common.events.tasks import TaskCreatedV1
from common.principals import Permission, Principal

from tests import agents
from tests.door import Door
from tests.operations import BODIES, Ids, filled
from tests.service import EVERYTHING, Service

OWNER = "ada"


def of_a_user(service: Service) -> Ids:
    """The ids of one user (`user_id`) and of what they have, under the names that paths use."""
    assert service.name in _MADE, f"tests/belongings.py does not know the service {service.name}"
    return {"user_id": OWNER, **_MADE[service.name](service)}


def owner(ids: Ids, permissions: tuple[Permission, ...] = EVERYTHING) -> Principal:
    """The user themselves, calling with their own API key."""
    return Principal(ids["user_id"], ids.get("key_id", "test"), permissions)


def _announced_agent(service: Service) -> Ids:
    assert service.consume(agents.created("a1", OWNER)) == []
    return {"agent_id": "a1"}


def _announced_agent_and_task(service: Service) -> Ids:
    about: dict[str, Any] = {"user_id": OWNER, "aggregate_id": "t1", "aggregate_version": 1}
    task = TaskCreatedV1(task_id="t1", agent_id="a1", description="anything", **about)
    assert service.consume(agents.created("a1", OWNER), task) == []
    return {"agent_id": "a1", "task_id": "t1"}


def _announced_everything(service: Service) -> Ids:
    ids = _announced_agent_and_task(service)
    about = {"user_id": OWNER, "aggregate_id": "t1", "aggregate_version": 2, **ids}
    asked = {
        "step": "step-001",
        "description": "anything",
        "expires_at": "2100-01-01T00:00:00.000Z",
    }
    assert service.consume(ApprovalRequestedV1(approval_id="p1", **asked, **about)) == []
    given = {"state": "enabled", "description": "anything", "created_at": "2030-01-01"}
    changed = ScheduleChangedV1(
        schedule_id="s1",
        updated_at="2030-01-01",
        user_id=OWNER,
        agent_id="a1",
        aggregate_id="s1",
        aggregate_version=1,
        **given,
    )
    assert service.consume(changed) == []
    return {**ids, "approval_id": "p1", "schedule_id": "s1"}


def _schedule_and_dead_letter(service: Service) -> Ids:
    ids = _announced_agent_and_task(service)
    wanted = {"agentId": ids["agent_id"], "description": "anything", "rate": "1 hour"}
    ids = {**ids, "schedule_id": service.request("POST", "/schedules", wanted).body["id"]}
    letter = {
        "messageId": "letter",
        "body": "nothing that anybody can read",
        "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:agentic-local-tasks-dead-letters",
        "messageAttributes": {"queue": {"stringValue": "inbox"}},
    }
    assert service.call("collect_dead_letters", {"Records": [letter]}) == {"batchItemFailures": []}
    return {**ids, "dead_letter_id": "letter"}


def _agent(service: Service) -> Ids:
    body = {"name": "helper", "configuration": agents.CONFIGURATION}
    return {"agent_id": service.request("POST", "/agents", body).body["id"]}


def _task(service: Service) -> Ids:
    ids = _announced_agent(service)
    assert service.consume(agents.created("a2", OWNER)) == []
    path, body = f"/agents/{ids['agent_id']}/tasks", {"description": "anything"}
    task, failed = (service.request("POST", path, body).body["id"] for _ in range(2))
    service.call("handle_error", {"taskId": failed, "attempt": 1})
    ids = {**ids, "other_agent_id": "a2", "task_id": task, "failed_task_id": failed}
    together = filled(BODIES["POST /collaborations"], ids)
    begun = service.request("POST", "/collaborations", together)
    ids = {**ids, "collaboration_id": begun.body["id"]}
    ids = {**ids, "approval_id": asked_approval(service, ids), "call_id": _call(service, ids)}
    return {**ids, **_message(service, ids)}


def _message(service: Service, ids: Ids) -> Ids:
    path, body = f"/agents/{ids['agent_id']}/messages", {"content": "anything"}
    message = service.request("POST", path, body).body
    return {"message_id": message["id"], "session_id": message["sessionId"]}


def asked_approval(service: Service, ids: Ids) -> str:
    """Asked for as a step does that needs one."""
    from chalicelib.tasks.models import TaskPlan
    from chalicelib.tasks.use_cases import approvals

    store = service.module.store()
    file = store.tasks.file(ids["task_id"]).model_copy(
        update={"plan": TaskPlan.to_answer_at_once()}
    )
    wish = approvals.wish(file, 0, "step")
    return str(approvals.ask(store, store.agents.get(ids["agent_id"]), file, wish).id)


def _call(service: Service, ids: Ids) -> str:
    """Begun, as a step does that calls a tool."""
    from chalicelib.tasks.models.journal import ToolCall

    call = ToolCall(key="call", step="0000", tool="clock", parameters={}, started_at=timestamp())
    service.module.store().journals.open(ids["failed_task_id"], "0000").begin(call)
    return call.key


def _session(service: Service) -> Ids:
    """Of a user whose permissions are enough to be allowed to give them."""
    door = Door(service)
    user_id, key = door.user(permissions=[{"resource": "users", "actions": ["write"]}])
    token = door.tokens(key)["refreshToken"]
    return {"user_id": user_id, "key_id": key.split("_")[1], "refresh_token": token}


_MADE: dict[str, Callable[[Service], Ids]] = {
    "agents": _agent,
    "auth": _session,
    "events": _schedule_and_dead_letter,
    "graphql": _announced_everything,
    "status": _announced_agent,
    "tasks": _task,
}
