import json
from typing import Any

import pytest
from common.principals import Principal
from hypothesis import given
from hypothesis import strategies as st

from tests.service import Service
from tests.strategies import without_table

API = "arn:aws:execute-api:us-east-1:123456789012:api1234567"
ARN = f"{API}/local/GET/agents"


class Door:
    """The authorizer, with one user who holds one key."""

    def __init__(self, auth: Service) -> None:
        operator = auth.call("create_operator", {"name": "root"})
        self.user_id, self.key = operator["userId"], operator["apiKey"]
        self._auth = auth

    def opens(self, header: str, arn: str = ARN) -> dict[str, Any]:
        event = {"type": "TOKEN", "authorizationToken": header, "methodArn": arn}
        return dict(self._auth.call("authorize", event))

    def request(self, headers: object) -> dict[str, Any]:
        event = {"type": "REQUEST", "headers": headers, "methodArn": f"{API}/local/$connect"}
        return dict(self._auth.call("authorize", event))


@pytest.fixture
def door(auth: Service) -> Door:
    return Door(auth)


@st.composite
def edits(draw: st.DrawFn) -> tuple[int, int, str]:
    """Where a text is cut, how much of it goes, and what comes in its place."""
    replacement = st.text(max_size=3) | st.text("abcXYZ019_", max_size=3)
    return draw(st.integers(0, 60)), draw(st.integers(0, 60)), draw(replacement)


def edited(text: str, edit: tuple[int, int, str]) -> str:
    start, length, replacement = edit
    return text[:start] + replacement + text[start + length :]


def assert_refused(door: Door, header: str) -> None:
    with pytest.raises(Exception, match=r"^Unauthorized$") as refusal:
        door.opens(header)
    assert type(refusal.value) is Exception
    assert refusal.value.__suppress_context__


@given(edit=edits())
def test_a_key_with_anything_changed_is_refused(door: Door, edit: tuple[int, int, str]) -> None:
    changed = edited(door.key, edit)
    if changed.strip() == door.key:
        assert door.opens(f"ApiKey {changed}")["principalId"] == door.user_id
    else:
        assert_refused(door, f"ApiKey {changed}")


@given(garbage=st.text() | st.sampled_from(["", "ApiKey", "ApiKey ", "Bearer x", "\ud800"]))
def test_garbage_is_refused(door: Door, garbage: str) -> None:
    assert_refused(door, garbage)
    assert_refused(door, f"ApiKey {garbage}")


@pytest.mark.parametrize(
    "scheme", ["", "Bearer ", "Basic ", "ApiKey", "Api-Key ", "ApiKey ApiKey "]
)
def test_a_key_under_another_scheme_is_refused(door: Door, scheme: str) -> None:
    assert_refused(door, f"{scheme}{door.key}")


def test_the_key_of_another_deployment_is_refused(door: Door, auth: Service) -> None:
    stolen = door.key
    for row in auth.rows():
        if str(row["PK"]).startswith("KEY#"):
            auth.table.delete_item(Key={"PK": row["PK"], "SK": row["SK"]})
    assert_refused(door, f"ApiKey {stolen}")


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
    answer = door.opens(f"ApiKey {door.key}", "/".join([f"{API}/{stage}", method, *path]))
    assert answer["principalId"] == door.user_id
    assert answer["policyDocument"]["Statement"] == [
        {"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": f"{API}/{stage}/*"}
    ]


def test_the_context_tells_every_service_who_calls(door: Door) -> None:
    context = door.opens(f"ApiKey {door.key}")["context"]
    assert all(isinstance(value, str) for value in context.values())
    principal = Principal.from_authorizer(json.loads(json.dumps(context)))
    assert principal.user_id == door.user_id
    assert door.key.split("_")[1] == principal.credential_id
    assert principal.require("users:write") is principal


@pytest.mark.parametrize("name", ["Authorization", "authorization", "AUTHORIZATION"])
def test_a_websocket_connects_with_the_same_header(door: Door, name: str) -> None:
    answer = door.request({"Host": "x", name: f"ApiKey {door.key}"})
    assert answer["principalId"] == door.user_id
    assert answer["policyDocument"]["Statement"][0]["Resource"] == f"{API}/local/*"


@pytest.mark.parametrize(
    "headers",
    [
        None,
        {},
        {"Host": "x"},
        {"Authorization": None},
        {"Authorization": ""},
        {"Authorization": []},
    ],
)
def test_a_websocket_without_the_header_is_refused(door: Door, headers: object) -> None:
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        door.request(headers)


def test_a_user_who_is_gone_is_refused(door: Door, auth: Service) -> None:
    auth.table.delete_item(Key={"PK": f"USER#{door.user_id}", "SK": "METADATA"})
    assert_refused(door, f"ApiKey {door.key}")


def test_a_failing_table_opens_nothing_and_tells_nothing(door: Door, auth: Service) -> None:
    with without_table(auth):
        assert_refused(door, f"ApiKey {door.key}")
