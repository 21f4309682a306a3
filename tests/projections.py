"""What each service shows in the end of what it heard."""

from collections.abc import Callable
from typing import Any

from common.events.base import Event
from common.events.catalogue import consumed_by
from common.events.delivery import MAX_RECEIVES

from tests.agents import CONFIGURATION
from tests.histories import AGENT
from tests.service import Service
from tests.strategies import emptied

View = Callable[[Service], Any]
DOCUMENT = """{
  approvals { edges { node { id status comment decidedAt decidedBy task { id } } } }
  waiting: approvals(status: PENDING) { edges { node { id } } }
  agents { edges { node { id name status
  tasks { edges { node {
    id description status currentStep totalSteps result attempt
    approvals { id tool parameters createdAt expiresAt } } } } } } } }"""


def rows_of(service: Service, *kinds: str) -> list[dict[str, Any]]:
    """All that is kept under these keys, but for when it will be gone."""
    kept = [row for row in service.rows() if str(row["PK"]).startswith(kinds)]
    cleaned = [{k: v for k, v in row.items() if k != "TTL"} for row in kept]
    return sorted(cleaned, key=lambda row: (str(row["PK"]), str(row["SK"])))


def agents_view(service: Service) -> Any:
    """How the last task ended says something only while none is active. That of one that was tried
    again may have arrived after the retry: it is over then, and its next end is newer."""
    shown = ["PK", "SK", "status", "activeTasks", "waitingTasks", "state"]
    ended = ["lastEndedAt", "lastOutcome"]
    rows = rows_of(service, "AGENT#")
    return [
        {name: row.get(name) for name in shown + ([] if row.get("activeTasks") else ended)}
        for row in rows
    ]


def tasks_view(service: Service) -> Any:
    return rows_of(service, "AGENT#")


def status_view(service: Service) -> Any:
    """Numbers are given in the order of arrival; what is numbered is the same."""
    latest = service.request("GET", f"/agents/{AGENT}/status")
    updates = service.request("GET", f"/agents/{AGENT}/updates?limit=100")
    shown = latest.body.get("status") if latest.status == 200 else latest.body["error"]["code"]
    items = updates.body.get("items", [])
    return shown, sorted(item["eventId"] for item in items if "eventId" in item)


def graphql_view(service: Service) -> Any:
    answer = service.request("POST", "/graphql", {"query": DOCUMENT}).body
    assert "errors" not in answer, answer
    return answer


def events_view(service: Service) -> Any:
    return service.request("GET", "/events?limit=100").body["items"]


VIEWS: dict[str, View] = {
    "agents": agents_view,
    "tasks": tasks_view,
    "status": status_view,
    "graphql": graphql_view,
    "events": events_view,
}


class Machine:
    """Executions are nothing that is projected."""

    def start(self, task_id: str, attempt: int) -> None: ...

    def wake(self, token: str, outcome: str) -> None: ...


class Projection:
    """A service that has heard of nothing; the agents service has the agent itself, which no
    event creates there."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.listens_to = consumed_by(service.name)
        self.seed: list[dict[str, Any]] = []
        if service.name == "tasks":
            service.module.executions = Machine  # type: ignore[attr-defined]
        if service.name == "agents":
            body = {"name": "helper", "configuration": CONFIGURATION}
            made = service.request("POST", "/agents", body).body["id"]
            row = next(r for r in service.rows() if r["PK"] == f"AGENT#{made}")
            self.seed = [row | {"PK": f"AGENT#{AGENT}", "agentId": AGENT}]

    def after(self, arriving: list[Event]) -> Any:
        """What it shows in the end. What failed comes again, as from the queue."""
        with emptied(self.service) as service:
            for row in self.seed:
                service.table.put_item(Item=row)
            waiting = [event for event in arriving if isinstance(event, self.listens_to)]
            for _ in range(MAX_RECEIVES):
                failed = {int(number) for number in service.consume(*waiting)} if waiting else set()
                waiting = [event for n, event in enumerate(waiting) if n in failed]
            assert waiting == [], "some events were never taken"
            assert service.buried() == []
            return VIEWS[service.name](service)
