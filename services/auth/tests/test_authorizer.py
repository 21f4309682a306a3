"""What the authorizer lets in, and as whom; the properties are in test_properties.py."""

import json
import os
import subprocess
import sys
from datetime import timedelta
from typing import Any

import boto3
import pytest
import time_machine
from common.principals import Principal
from hypothesis import given
from hypothesis import strategies as st

from tests.door import API, Door
from tests.service import ROOT, Service
from tests.strategies import without_table


@pytest.mark.parametrize(
    "scheme", ["", "Bearer ", "Basic ", "ApiKey", "Api-Key ", "ApiKey ApiKey ", "ApiKey  "]
)
def test_a_key_under_another_scheme_is_refused(door: Door, scheme: str) -> None:
    assert door.refuses_credential(f"{scheme}{door.key}")


@pytest.mark.parametrize("scheme", ["ApiKey", "apikey", "APIKEY"])
def test_the_scheme_is_read_in_any_case(door: Door, scheme: str) -> None:
    assert door.opens(f"{scheme} {door.key}")["principalId"] == door.user_id


@given(
    stage=st.from_regex(r"[a-z]{1,10}", fullmatch=True),
    method=st.sampled_from(["GET", "POST", "DELETE", "$connect"]),
    path=st.lists(st.from_regex(r"[A-Za-z0-9_-]{1,8}", fullmatch=True), max_size=4),
)
def test_a_valid_key_opens_the_whole_stage(
    door: Door, stage: str, method: str, path: list[str]
) -> None:
    arn = "/".join([f"{API}/{stage}", method, *path])
    answer = door.opens(f"ApiKey {door.key}", methodArn=arn)
    assert answer["principalId"] == door.user_id
    assert answer["policyDocument"]["Statement"] == [
        {"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": f"{API}/{stage}/*"}
    ]


@pytest.mark.parametrize("kind", ["ApiKey", "Bearer"])
def test_the_context_tells_every_service_who_calls(door: Door, kind: str) -> None:
    credential = door.key if kind == "ApiKey" else door.tokens()["accessToken"]
    context = door.opens(f"{kind} {credential}")["context"]
    assert all(isinstance(value, str) for value in context.values())
    principal = Principal.from_authorizer(json.loads(json.dumps(context)))
    assert principal.user_id == door.user_id
    assert door.key.split("_")[1] == principal.credential_id
    assert principal.require("users:write") is principal
    assert (principal.session_id is None) == (kind == "ApiKey")
    assert (principal.expires_at is None) == (kind == "ApiKey")


@pytest.mark.parametrize("name", ["Authorization", "authorization", "AUTHORIZATION"])
def test_a_websocket_connects_with_the_same_header(door: Door, name: str) -> None:
    headers = {"Host": "x", name: f"ApiKey {door.key}"}
    answer = door.asks({"headers": headers, "methodArn": f"{API}/live/$connect"})
    assert answer["principalId"] == door.user_id
    assert answer["policyDocument"]["Statement"][0]["Resource"] == f"{API}/live/*"


@pytest.mark.parametrize(
    "headers",
    [
        None,
        {},
        {"Host": "x"},
        {"Authorization": None},
        {"Authorization": ""},
        {"Authorization": []},
        {"Authorization": {"ApiKey": "x"}},
        [],
        "Authorization",
    ],
)
def test_a_request_without_a_credential_is_refused(door: Door, headers: object) -> None:
    assert door.refuses({"headers": headers})
    assert door.refuses({"multiValueHeaders": headers})


def handshake(*protocols: str, **headers: str) -> dict[str, Any]:
    return {
        "multiValueHeaders": {
            "Sec-WebSocket-Protocol": list(protocols),
            **{name: [value] for name, value in headers.items()},
        },
        "requestContext": {"eventType": "CONNECT"},
        "methodArn": f"{API}/live/$connect",
    }


def test_a_browser_names_its_token_as_a_subprotocol(door: Door) -> None:
    token = door.tokens(door.key)["accessToken"]
    for protocols in ((f"agentic.v1, bearer.{token}",), (f"bearer.{token}", "agentic.v1")):
        assert door.asks(handshake(*protocols))["principalId"] == door.user_id
    assert door.refuses(handshake(f"bearer.{door.key}")), "keys are not for browsers"
    assert door.refuses(handshake(f"bearer.{token}x"))
    assert door.refuses(handshake("agentic.v1"))
    assert door.refuses(handshake(f"bearer.{token}, bearer.{token}"))
    assert door.refuses(handshake(f"bearer.{token}", Authorization=f"Bearer {token}"))
    message = handshake(f"bearer.{token}") | {"requestContext": {}}
    assert door.refuses(message), "only a handshake has subprotocols"


def test_two_credentials_are_none(door: Door) -> None:
    good = f"ApiKey {door.key}"
    assert door.refuses({"multiValueHeaders": {"Authorization": [good, good]}})
    assert door.refuses({"multiValueHeaders": {"Authorization": [good], "authorization": [good]}})
    assert door.refuses({"multiValueHeaders": {"Authorization": [good], "x-api-key": [door.key]}})
    assert door.refuses({"headers": {"Authorization": good, "X-Api-Key": door.key}})
    assert door.asks({"headers": {"X-Api-Key": door.key}})["principalId"] == door.user_id


def test_a_user_who_is_gone_is_refused(door: Door, auth: Service) -> None:
    auth.table.delete_item(Key={"PK": f"USER#{door.user_id}", "SK": "METADATA"})
    assert door.refuses_credential(f"ApiKey {door.key}")


def test_a_disabled_user_is_refused_until_enabled_again(door: Door) -> None:
    operator = door.principal(f"ApiKey {door.key}")
    user_id, key = door.user()

    def change(**fields: Any) -> None:
        answer = door.auth.request("PUT", f"/auth/users/{user_id}", fields, by=operator)
        assert answer.status == 200, answer

    token = door.tokens(key)
    change(disabled=True)
    door.forget()
    assert door.refuses_credential(f"ApiKey {key}")
    assert door.refuses_credential(f"Bearer {token['accessToken']}")
    answer = door.auth.request(
        "POST", "/auth/token/refresh", {"refreshToken": token["refreshToken"]}
    )
    assert answer.status == 401
    change(disabled=False)
    assert door.principal(f"ApiKey {key}").user_id == user_id


def test_a_failing_table_opens_nothing_and_tells_nothing(door: Door, auth: Service) -> None:
    with without_table(auth):
        assert door.refuses_credential(f"ApiKey {door.key}")


def test_a_key_set_out_of_reach_opens_nothing(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    token = door.tokens()["accessToken"]
    monkeypatch.setenv("JWKS_URL", "http://127.0.0.1:9/nobody-listens")
    door.forget()
    assert door.refuses_credential(f"Bearer {token}")


def test_a_token_needs_no_aws_sdk() -> None:
    """A cold start without it is half as long; `make imports` measures it."""
    probe = "import sys, chalicelib.auth.authorizer.handler; print('boto3' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", probe],
        cwd=ROOT,
        env={"PYTHONPATH": "services/auth:libs/common"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"


class TestLockOut:
    def failing(self, door: Door, address: str) -> dict[str, Any]:
        identity = {"identity": {"sourceIp": address}}
        return {"headers": {"Authorization": "ApiKey wrong"}, "requestContext": identity}

    def deliver(self, auth: Service) -> None:
        """As the queue does it."""
        queue = {"QueueUrl": os.environ["OBSERVATIONS_URL"]}
        sqs = boto3.client("sqs")
        while found := sqs.receive_message(**queue, MaxNumberOfMessages=10).get("Messages"):
            auth.call("record_observations", {"Records": [{"body": m["Body"]} for m in found]})
            for message in found:
                sqs.delete_message(**queue, ReceiptHandle=message["ReceiptHandle"])

    def test_an_address_that_keeps_failing_is_told_to_wait(self, door: Door) -> None:
        for _ in range(25):
            assert door.refuses(self.failing(door, "192.0.2.1"))
        self.deliver(door.auth)
        answer = door.asks(self.failing(door, "192.0.2.1"))
        assert answer["policyDocument"]["Statement"][0]["Effect"] == "Deny"
        assert answer["context"] == {}
        assert door.refuses(self.failing(door, "192.0.2.2")), "another address was locked out"

    def test_who_has_a_good_key_is_never_locked_out(self, door: Door) -> None:
        for _ in range(25):
            assert door.refuses(self.failing(door, "192.0.2.1"))
        self.deliver(door.auth)
        same_address = {"requestContext": {"identity": {"sourceIp": "192.0.2.1"}}}
        for credential in (f"ApiKey {door.key}", f"Bearer {door.tokens()['accessToken']}"):
            assert door.opens(credential, **same_address)["principalId"] == door.user_id

    def test_a_token_that_was_good_once_always_gets_401(self, door: Door) -> None:
        """Its holder has to hear it, to get a new one; and it locks nobody out."""
        token, address = door.tokens()["accessToken"], "192.0.2.3"
        identity = {"identity": {"sourceIp": address}}
        outdated = {"headers": {"Authorization": f"Bearer {token}"}, "requestContext": identity}
        with time_machine.travel(timedelta(seconds=1000), tick=True):
            for _ in range(25):
                assert door.refuses(outdated)
            self.deliver(door.auth)
            assert door.refuses(self.failing(door, address))
            for _ in range(25):
                assert door.refuses(self.failing(door, address))
            self.deliver(door.auth)
            assert door.asks(self.failing(door, address))["principalId"] == "locked out"
            assert door.refuses(outdated)

    def test_the_use_of_a_key_is_recorded(self, door: Door) -> None:
        _, key = door.user()
        by = door.principal(f"ApiKey {key}")
        self.deliver(door.auth)
        [kept] = door.auth.request("GET", "/auth/api-keys", by=by).body["items"]
        assert kept["lastUsedAt"] >= kept["createdAt"]

    def test_a_use_that_is_told_late_brings_no_key_back(self, door: Door) -> None:
        _, key = door.user()
        by = door.principal(f"ApiKey {key}")
        key_id = key.split("_")[1]
        assert door.auth.request("DELETE", f"/auth/api-keys/{key_id}", by=by).status == 204
        self.deliver(door.auth)
        assert door.refuses_credential(f"ApiKey {key}")
