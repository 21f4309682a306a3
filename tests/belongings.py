"""What a user has in a service in process, made the way it comes about."""

from collections.abc import Callable

from common.events.tasks import TaskCreatedV1

from tests import agents
from tests.operations import Ids
from tests.service import Service, user

OWNER = "ada"


def of_a_user(service: Service) -> Ids:
    """The ids of one user (`user_id`) and of what they have, under the names that paths use."""
    assert service.name in _MADE, f"tests/belongings.py does not know the service {service.name}"
    return {"user_id": OWNER} | _MADE[service.name](service)


def _announced_agent(service: Service) -> Ids:
    assert service.consume(agents.created("a1", OWNER)) == []
    return {"agent_id": "a1"}


def _announced_agent_and_task(service: Service) -> Ids:
    about = {"user_id": OWNER, "aggregate_id": "t1", "aggregate_version": 1}
    task = TaskCreatedV1(task_id="t1", agent_id="a1", description="anything", **about)
    assert service.consume(agents.created("a1", OWNER), task) == []
    return {"agent_id": "a1", "task_id": "t1"}


def _agent(service: Service) -> Ids:
    body = {"name": "helper", "configuration": agents.CONFIGURATION}
    return {"agent_id": service.request("POST", "/agents", body).body["id"]}


def _task(service: Service) -> Ids:
    ids = _announced_agent(service)
    path, body = f"/agents/{ids['agent_id']}/tasks", {"description": "anything"}
    return {**ids, "task_id": service.request("POST", path, body).body["id"]}


def _key(service: Service) -> Ids:
    owner = service.request("POST", "/auth/users", {"name": "Ada"}).body["id"]
    key = service.request("POST", "/auth/api-keys", {"name": "laptop"}, by=user(owner)).body
    return {"user_id": owner, "key_id": key["keyId"]}


_MADE: dict[str, Callable[[Service], Ids]] = {
    "agents": _agent,
    "auth": _key,
    "events": _announced_agent_and_task,
    "graphql": _announced_agent_and_task,
    "status": _announced_agent,
    "tasks": _task,
}
