"""Quotas on the deployed platform, where requests really come at once."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from tests.platform import Account, Api, Platform, eventually

pytestmark = pytest.mark.deployed

AGENT = {
    "name": "test",
    "configuration": {"llmProvider": "openai", "model": "simulated", "tools": []},
}
AT_ONCE = 12


def post_at_once(api: Api, path: str, body: object) -> list[Any]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda _: api.post(path, json=body), range(AT_ONCE)))


def statuses(answers: list[Any]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


def handshake(platform: Platform, user: Account, opened: ExitStack | None = None) -> int:
    """The status it is answered with; the socket stays open as long as `opened`."""
    try:
        with ExitStack() as own:
            (opened or own).enter_context(platform.socket(user))
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


def test_of_many_agents_at_once_only_those_within_the_quota_are_created(
    platform: Platform,
) -> None:
    with platform.api(platform.new_user(agents=3)) as api:
        answers = post_at_once(api, "/agents", AGENT)
        assert statuses(answers) == {201: 3, 429: AT_ONCE - 3}
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert refused.headers["Retry-After"] == "60"
        assert refused.json()["error"]["details"]["quota"] == "agents"
        agents = api.get("/agents").json()["items"]
        assert len(agents) == 3
        assert api.delete(f"/agents/{agents[0]['id']}").status_code == 204
        assert statuses(post_at_once(api, "/agents", AGENT)) == {201: 1, 429: AT_ONCE - 1}


def test_of_many_tasks_at_once_only_those_within_the_quota_are_taken(platform: Platform) -> None:
    with platform.api(platform.new_user(activeTasks=2)) as api:
        model = f"slow-{api.headers['Authorization'][-8:]}"
        latency = {"model": model, "latencyMs": 5000}
        platform.simulator.put("/_control/latency", json=latency).raise_for_status()
        path = f"/agents/{api.agent(model=model)['id']}/tasks"
        answers = post_at_once(api, path, {"description": "Say hello"})
        assert statuses(answers) == {201: 2, 429: AT_ONCE - 2}
        taken = [answer.json() for answer in answers if answer.status_code == 201]
        assert api.post(f"{path}/{taken[0]['id']}/cancel").status_code == 200
        assert api.post(path, json={"description": "Say hello"}).status_code == 201
        for task in api.get(path).json()["items"]:
            api.finished(task)
        assert api.get("/usage").json()["activeTasks"] == {"used": 0, "limit": 2}


def test_a_user_without_tokens_left_gets_no_more_done(platform: Platform) -> None:
    with platform.api(platform.new_user(tokensPerDay=1)) as api:
        agent = api.agent()
        first = api.finished(api.task(agent["id"], "Say hello"))
        assert api.get("/usage").json()["tokensPerDay"]["used"] > 1
        refused = api.post(f"/agents/{agent['id']}/tasks", json={"description": "Say hello"})
        assert refused.status_code == 429
        assert refused.json()["error"]["details"]["quota"] == "tokensPerDay"
        assert 0 < int(refused.headers["Retry-After"]) <= 24 * 3600
    if first["status"] == "failed":
        assert first["error"]["code"] == "QUOTA_EXCEEDED"


def test_a_socket_more_than_the_quota_allows_is_refused(platform: Platform) -> None:
    user = platform.new_user(sockets=1)
    with platform.socket(user) as socket:
        assert handshake(platform, user) == 429
        socket.send(action="ping")
        assert socket.receive("pong")

    # The first one's $disconnect may not have come yet.
    assert eventually(lambda: handshake(platform, user) == 101, every=0.2)


def test_of_many_sockets_at_once_only_those_within_the_quota_are_opened(
    platform: Platform,
) -> None:
    user = platform.new_user(sockets=2)
    with ExitStack() as opened, ThreadPoolExecutor(AT_ONCE) as pool:
        answers = pool.map(lambda _: handshake(platform, user, opened), range(AT_ONCE))
        assert Counter(answers) == {101: 2, 429: AT_ONCE - 2}
