"""Rate limits on the deployed platform: counted by several processes in one Redis."""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from redis import Redis

from infra.local.settings import Settings
from tests.platform import Api, Platform

pytestmark = pytest.mark.deployed

QUOTA = 5
PATH = f"/agents/{uuid.uuid4()}"


@pytest.fixture(scope="module")
def operator(platform: Platform) -> Iterator[Api]:
    with platform.api(platform.facts["operator"]) as api:
        yield api


@pytest.fixture
def limited(platform: Platform) -> Iterator[Api]:
    """A new user who may make five requests a minute."""
    with platform.api(platform.new_user(requestsPerMinute=QUOTA)) as api:
        yield api


def assert_the_quota_was_served(answers: list[httpx.Response]) -> None:
    """All of it, and no more: unless a busy machine keeps Redis from answering in time. Then the
    request is served all the same, and its answer does not say where the user stands."""
    served = [answer for answer in answers if answer.status_code != 429]
    assert len([answer for answer in served if "RateLimit" in answer.headers]) <= QUOTA
    assert len(served) >= QUOTA


def until_refused(api: Api) -> list[httpx.Response]:
    answers = [api.get(PATH)]
    while answers[-1].status_code != 429 and len(answers) < 50:
        answers.append(api.get(PATH))
    return answers


def test_the_sixth_of_five_requests_a_minute_is_refused(limited: Api, operator: Api) -> None:
    answers = until_refused(limited)
    assert_the_quota_was_served(answers)
    refused = answers[-1]
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "TooManyRequests"
    assert refused.headers["RateLimit-Policy"] == '"user";q=5;w=60'
    assert refused.headers["RateLimit"] == f'"user";r=0;t={refused.headers["Retry-After"]}'
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert operator.get(PATH).status_code == 404, "another user was refused"


def test_the_limit_is_one_for_all_services_and_processes(limited: Api) -> None:
    paths = ["/auth/me", PATH, f"{PATH}/tasks", "/events", f"{PATH}/status"] * 3
    with ThreadPoolExecutor(4) as pool:
        assert_the_quota_was_served(list(pool.map(limited.get, paths)))


def test_a_client_can_not_choose_its_address(limited: Api) -> None:
    """The emulator believes X-Forwarded-For; the front door does not let clients write it."""
    limited.get(PATH, headers={"X-Forwarded-For": "203.0.113.7"})
    with Redis(port=Settings.from_environment().redis_port) as redis:
        counted = set(redis.scan_iter("rate:address:*"))
    assert b"rate:address:127.0.0.1" in counted
    assert b"rate:address:203.0.113.7" not in counted
