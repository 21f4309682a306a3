"""The deployed services keep what the OpenAPI document promises, whatever they are sent."""

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.config import (
    CoveragePhaseConfig,
    GenerationConfig,
    PhasesConfig,
    ProjectConfig,
    ProjectsConfig,
    SchemathesisConfig,
)
from schemathesis.generation.meta import TestPhase
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from docs.generate import OPENAPI
from tests.operations import BODIES, filled
from tests.platform import Api, Platform

pytestmark = pytest.mark.deployed

EXAMPLES = 12
"""Of each operation. A quiet machine answers all of them in half a minute."""
PROMISES = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
QUOTAS = {"requestsPerMinute": 10**6, "agents": 50, "activeTasks": 9, "schedules": 9}
"""Few tasks: they are executed."""
PERMISSIONS = [
    {"resource": "*", "actions": ["read"]},
    *({"resource": each, "actions": ["write"]} for each in ("agents", "tasks", "users")),
    {"resource": "credentials", "actions": ["write"]},
]
"""Everything but to redrive what others let die."""


IDS = (
    *("agent_id", "other_agent_id", "task_id", "schedule_id", "collaboration_id", "message_id"),
    *("session_id", "user_id", "dead_letter_id", "refresh_token"),
)
PLACEHOLDERS = {name: f"the-{name}" for name in IDS}
"""In examples of bodies, for ids that are known when there is a platform."""


def strict(document: dict[str, Any]) -> dict[str, Any]:
    """The document with answers closed: a field that is not documented is a mistake here. With an
    example of each body: what names other objects is hardly ever right by chance."""
    document = copy.deepcopy(document)
    for call, example in BODIES.items():
        method, path = call.split()
        if body := document["paths"][path][method.lower()].get("requestBody"):
            body["content"]["application/json"]["example"] = filled(example, PLACEHOLDERS)
    for schema in document["components"]["schemas"].values():
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
    return document


def configuration() -> SchemathesisConfig:
    project = ProjectConfig(
        request_timeout=60,
        phases=PhasesConfig(coverage=CoveragePhaseConfig(enabled=False)),
        generation=GenerationConfig(with_security_parameters=False),
    )
    return SchemathesisConfig(projects=ProjectsConfig(default=project))


SCHEMA = schemathesis.openapi.from_dict(
    strict(json.loads(OPENAPI.read_text())), config=configuration()
)


@dataclass(frozen=True)
class Client:
    """A user with one of everything."""

    api: Api
    base_url: str
    ids: dict[str, str]

    def ask(self, case: schemathesis.Case) -> schemathesis.Response:
        """About what there is, as far as the case says nothing else on purpose."""
        headers = {"Authorization": self.api.headers["Authorization"]}
        for name, value in (case.path_parameters or {}).items():
            if case.method != "DELETE" and not _is_wrong(case):
                case.path_parameters[name] = self.ids.get(name, value)
        if case.meta.phase.name == TestPhase.EXAMPLES:
            case.body = self._with_ids(case.body)
        return case.call(base_url=self.base_url, headers=headers)

    def _with_ids(self, body: Any) -> Any:
        text = json.dumps(body)
        for name, value in self.ids.items():
            text = text.replace(json.dumps(PLACEHOLDERS[name]), json.dumps(value))
        return json.loads(text)


def _is_wrong(case: schemathesis.Case) -> bool:
    """Whether the path is not as it is documented."""
    place = schemathesis.core.parameters.ParameterLocation.PATH
    component = case.meta.components.get(place) if case.meta else None
    return bool(component and component.mode.is_negative)


@pytest.fixture(scope="module")
def client(platform: Platform) -> Iterator[Client]:
    with platform.api(platform.facts["operator"]) as operator:
        wanted = {"name": "fuzz", "permissions": PERMISSIONS, "quotas": QUOTAS}
        user = operator.created("/auth/users", wanted)
        other = operator.created("/auth/users", {"name": "other"})
        key = operator.created("/auth/api-keys", {"name": "fuzz", "userId": user["id"]})
    with platform.client(f"ApiKey {key['apiKey']}") as api:
        ids = _made(api) | {"user_id": other["id"], "dead_letter_id": "none"}
        yield Client(api, platform.facts["baseUrl"], ids)


def _made(api: Api) -> dict[str, str]:
    agents = [api.agent()["id"] for _ in range(2)]
    ids = {"agent_id": agents[0], "other_agent_id": agents[1]}
    ids["task_id"] = api.task(agents[0], "Who are you?")["id"]
    ids["schedule_id"] = api.created(
        "/schedules", {"agentId": agents[0], "description": "Who are you?", "rate": "30 days"}
    )["id"]
    together = filled(BODIES["POST /collaborations"], ids)
    ids["collaboration_id"] = api.created("/collaborations", together)["id"]
    message = api.post(f"/agents/{agents[0]}/messages", json={"content": "Who are you?"}).json()
    ids |= {"message_id": message["id"], "session_id": message["sessionId"]}
    return ids | {"refresh_token": api.post("/auth/token").json()["refreshToken"]}


@SCHEMA.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
def test_whatever_is_sent_the_answer_is_as_documented(
    case: schemathesis.Case, client: Client
) -> None:
    answer = client.ask(case)
    case.validate_response(answer, checks=PROMISES)


def test_the_document_is_served(platform: Platform) -> None:
    with platform.client("") as anybody:
        del anybody.headers["Authorization"]
        answer = anybody.get("/openapi.json")
    assert answer.status_code == 200
    assert answer.json() == json.loads(OPENAPI.read_text())
