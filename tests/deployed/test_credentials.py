"""Whatever is wrong with a request's credentials, the answer is one and the same 401."""

import json
import random
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.operations import SERVICES, operations, path_of
from tests.platform import Platform, eventually

pytestmark = pytest.mark.deployed

Headers = list[tuple[str, bytes]]
KEY = b"{key}"
"""Stands for a valid key."""

GOOD = b"ApiKey " + KEY
CASES: dict[str, Headers] = {
    "nothing": [],
    "empty": [("Authorization", b"")],
    "a key without a scheme": [("Authorization", KEY)],
    "a key and more": [("Authorization", GOOD + b"x")],
    "two keys in one header": [("Authorization", GOOD + b", " + GOOD)],
    "bytes": [("Authorization", b"ApiKey " + bytes(range(0x80, 0x100)))],
    "10 kB": [("Authorization", b"ApiKey " + b"x" * 10_000)],
    "a token that is none": [("Authorization", b"Bearer garbage")],
    "a token of bytes": [("Authorization", b"Bearer e30.\xc3\x28.\xa0\xa1")],
    "a 10 kB token": [("Authorization", b"Bearer " + b"e30." * 2500)],
    "a key as a token": [("Authorization", b"Bearer " + KEY)],
    "x-api-key empty": [("x-api-key", b"")],
    "x-api-key bytes": [("x-api-key", b"\xff\xfe\x80")],
    "both": [("Authorization", GOOD), ("x-api-key", KEY)],
    "both the other way round": [("x-api-key", KEY), ("Authorization", GOOD)],
    "both, x-api-key garbage": [("Authorization", GOOD), ("x-api-key", b"garbage")],
    "both, Authorization garbage": [("Authorization", b"Bearer x"), ("x-api-key", KEY)],
    "x-api-key twice": [("x-api-key", KEY), ("x-api-key", KEY)],
    "Authorization twice": [("Authorization", GOOD), ("Authorization", GOOD)],
    "Authorization twice, garbage first": [("Authorization", b"x"), ("Authorization", GOOD)],
    "Authorization twice, garbage last": [("Authorization", GOOD), ("Authorization", b"x")],
}
"""Few, as the emulator ends the authorizer's process each time that it refuses."""

IN_TURN = [(case, SERVICES[turn % len(SERVICES)]) for turn, case in enumerate(CASES)]
HANDSHAKE: Headers = [
    ("Connection", b"Upgrade"),
    ("Upgrade", b"websocket"),
    ("Sec-WebSocket-Version", b"13"),
    ("Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
]
Refusal = tuple[int, dict[str, Any]]


class Door:
    """Sends headers as they are; a client library would correct them."""

    def __init__(self, platform: Platform) -> None:
        self._address = urlsplit(platform.facts["baseUrl"]).netloc
        self._key = platform.facts["users"][0]["apiKey"].encode()

    def knock(self, method: str, path: str, headers: Headers) -> Refusal:
        """Status and body, without what is different each time."""
        # From a new address each time, as failures lock an address out.
        source = ".".join(["127", *(str(random.randint(1, 254)) for _ in range(3))])
        connection = HTTPConnection(self._address, timeout=60, source_address=(source, 0))
        connection.putrequest(method, path)
        for name, value in headers:
            connection.putheader(name, value.replace(KEY, self._key))
        connection.endheaders()
        answer = connection.getresponse()
        # An accepted handshake has no body, and no end either.
        body = b"" if answer.status == 101 else answer.read()
        connection.close()
        return answer.status, _lasting(json.loads(body or b"{}"))

    def of_a_service(self, service: str, headers: Headers) -> Refusal:
        operation = next(each for each in operations(service) if not each.public)
        ids = dict.fromkeys(("agent_id", "task_id", "user_id", "key_id"), "x")
        return self.knock(operation.method, path_of(operation, ids), headers)

    def of_the_socket(self, headers: Headers) -> Refusal:
        return self.knock("GET", "/ws/status", HANDSHAKE + headers)


def _lasting(body: dict[str, Any]) -> dict[str, Any]:
    each_time = ("requestId", "timestamp", "connectionId")
    kept = {name: value for name, value in body.items() if name not in each_time}
    return {n: _lasting(v) if isinstance(v, dict) else v for n, v in kept.items()}


@pytest.fixture(scope="module")
def door(platform: Platform) -> Door:
    """After the valid key was used everywhere: what is cached for it must help nobody else."""
    door = Door(platform)
    assert 401 not in [door.of_a_service(each, [("Authorization", GOOD)])[0] for each in SERVICES]
    return door


@pytest.fixture(scope="module")
def refusal(door: Door) -> Refusal:
    """What the agents service answers to who brings nothing; every other answer is compared."""
    status, body = door.of_a_service("agents", [])
    assert (status, body["error"]["code"]) == (401, "Unauthenticated")
    return status, body


@pytest.mark.parametrize(("case", "service"), IN_TURN)
def test_services_refuse_bad_credentials_alike(
    door: Door, refusal: Refusal, case: str, service: str
) -> None:
    assert door.of_a_service(service, CASES[case]) == refusal


@pytest.mark.parametrize("case", CASES)
def test_the_socket_refuses_bad_credentials_alike(door: Door, case: str) -> None:
    refused = door.of_the_socket([])
    assert refused[0] == 401
    assert door.of_the_socket(CASES[case]) == refused


@pytest.mark.parametrize("header", [("Authorization", GOOD), ("x-api-key", KEY)])
def test_a_valid_key_opens_in_either_header(door: Door, header: tuple[str, bytes]) -> None:
    """Else the refusals would prove nothing."""
    assert door.knock("GET", "/auth/me", [header])[0] == 200
    assert door.of_the_socket([header])[0] == 101


def test_an_address_that_keeps_failing_is_told_to_wait_and_locks_nobody_out(
    platform: Platform,
) -> None:
    """From the authorizer's note through the queue to the gateway's answer."""
    address = f"127.77.{random.randrange(256)}.{random.randrange(1, 255)}"
    account = platform.new_user()
    with (
        platform.client("ApiKey wrong", address) as stranger,
        platform.client(f"ApiKey {account['apiKey']}", address) as neighbour,
    ):
        answers = [stranger.get("/agents") for _ in range(21)]
        assert {answer.status_code for answer in answers} == {401}
        locked = eventually(lambda: stranger.get("/agents").status_code == 429, 20, every=0.5)
        assert locked, "21 failures were not counted"
        answer = stranger.get("/agents")
        assert answer.headers["Retry-After"] == "60"
        assert answer.json()["error"]["code"] == "TooManyRequests"
        assert neighbour.get("/agents").status_code == 200
        assert eventually(lambda: neighbour.get("/auth/api-keys").json()["items"][0]["lastUsedAt"])
