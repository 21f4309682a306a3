"""An app whose users and addresses are counted by a real Redis."""

import uuid
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from common.dynamo import Put
from common.errors import Conflict
from common.http import ServiceApp
from common.idempotency import Once
from common.models import Model
from common.principals import Permission, Principal
from common.quotas import Quotas
from common.service import table

from tests.service import Answer, Service, running, user

ADDRESS_QUOTA = 20


class Thing(Model):
    name: str


def probe() -> ServiceApp:
    app = ServiceApp("probe")

    @app.operation("POST", "/things", "agents:write", status=201)
    def create_thing(_user: Principal, body: Thing, once: Once | None) -> Thing:
        row = {"PK": f"THING#{uuid.uuid4()}", "SK": "ROW"}
        table().write(Put(row), once=once and once.answering(201, body))
        return body

    @app.operation("GET", "/conflict")
    def conflict(_user: Principal) -> None:
        raise Conflict("It is so")

    @app.operation("GET", "/fault")
    def fault(_user: Principal) -> None:
        raise RuntimeError

    @app.public("GET", "/open/{name}")
    def is_open(name: str) -> dict[str, object]:
        return {"name": name}

    return app


@pytest.fixture(scope="module")
def things(redis_url: str) -> Iterator[Service]:
    patient = f"{redis_url}?socket_timeout=10&socket_connect_timeout=10"
    settings = {"REDIS_URL": patient, "ADDRESS_REQUESTS_PER_MINUTE": str(ADDRESS_QUOTA)}
    with running("agents", **settings):
        module = ModuleType("probe")
        vars(module)["app"] = probe()
        yield Service("probe", module)


class Caller:
    """A user with their own quota, at an address of their own unless it is given."""

    def __init__(self, things: Service, quota: int, address: str = "", **known: Any) -> None:
        self.address = address or str(uuid.uuid4())
        self._user = user(str(uuid.uuid4()), quotas=Quotas(requests_per_minute=quota), **known)
        self._things = things

    def post(self, body: object = None, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._request("POST", "/things", body or {"name": "a"}, headers=named)

    def get(self, path: str) -> Answer:
        return self._request("GET", path)

    def _request(self, method: str, path: str, *body: object, **options: Any) -> Answer:
        options |= {"by": self._user, "address": self.address}
        return self._things.request(method, path, *body, **options)


def standing(answer: Answer) -> tuple[int, str, int]:
    """The status, the policy and what is left of it."""
    left, seconds = answer.headers["RateLimit"].rsplit(";t=", 1)
    assert 1 <= int(seconds) <= 60
    return answer.status, answer.headers["RateLimit-Policy"], int(left.rpartition("r=")[2])


def test_the_request_beyond_the_quota_is_refused_and_does_nothing(things: Service) -> None:
    ada = Caller(things, 3)
    policy = '"user";q=3;w=60'
    assert [standing(ada.post()) for _ in range(3)] == [(201, policy, n) for n in (2, 1, 0)]
    written = len(things.rows())
    refused = ada.post()
    assert standing(refused) == (429, policy, 0)
    assert refused.body["error"]["code"] == "TooManyRequests"
    seconds = refused.headers["Retry-After"]
    assert refused.headers["RateLimit"] == f'"user";r=0;t={seconds}'
    assert refused.body["error"]["details"] == {"retryAfterSeconds": int(seconds)}
    assert len(things.rows()) == written


def test_another_user_is_not_refused(things: Service) -> None:
    ada, grace = Caller(things, 1), Caller(things, 1)
    assert [ada.post().status, ada.post().status, grace.post().status] == [201, 429, 201]


def test_whatever_the_answer_it_is_counted_and_says_so(things: Service) -> None:
    ada = Caller(things, 9)
    answers = [ada.get("/conflict"), ada.get("/fault"), ada.post({"name": 1})]
    assert [(a.status, standing(a)[2]) for a in answers] == [(409, 8), (500, 7), (400, 6)]


def test_what_is_forbidden_counts_too(things: Service) -> None:
    reader = Caller(things, 1, permissions=(Permission("agents", ("read",)),))
    assert [standing(reader.post())[0] for _ in range(2)] == [403, 429]


def test_a_repeated_request_is_a_request(things: Service) -> None:
    ada, key = Caller(things, 2), str(uuid.uuid4())
    answers = [ada.post(idempotency_key=key) for _ in range(3)]
    assert [standing(answer)[0] for answer in answers] == [201, 201, 429]
    assert answers[1].headers["Idempotent-Replayed"] == "true"


def test_a_public_route_counts_for_the_address(things: Service) -> None:
    anybody = Caller(things, 1)
    policy = f'"address";q={ADDRESS_QUOTA};w=60'
    answers = [anybody.get("/open/door") for _ in range(ADDRESS_QUOTA + 1)]
    assert standing(answers[0]) == (200, policy, ADDRESS_QUOTA - 1)
    assert answers[0].body == {"name": "door"}
    assert standing(answers[-1]) == (429, policy, 0)
    assert [answer.status for answer in answers].count(429) == 1


def test_users_at_one_address_share_its_limit(things: Service) -> None:
    office = str(uuid.uuid4())
    answers = [Caller(things, 5, office).post() for _ in range(ADDRESS_QUOTA + 1)]
    assert {answer.status for answer in answers[:-1]} == {201}
    assert standing(answers[-1]) == (429, f'"address";q={ADDRESS_QUOTA};w=60', 0)


def test_the_addresses_of_an_ipv6_client_share_a_limit(things: Service) -> None:
    answers = [
        Caller(things, 5, f"2001:db8::{number:x}").get("/open/door")
        for number in range(ADDRESS_QUOTA + 1)
    ]
    assert answers[-1].status == 429
