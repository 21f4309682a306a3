import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from chalicelib.auth.models.users import USER_PERMISSIONS
from common.clock import timestamp
from common.principals import Permission, Principal
from common.quotas import DEFAULT_QUOTAS, Quotas

from tests.service import Answer, Service, user

ARN = "arn:aws:execute-api:us-east-1:123456789012:api/local/GET/agents"
NOBODY = user("nobody", ())
NOBODY_ELSE = user("grace", USER_PERMISSIONS)


def principal(service: Service, key: str) -> Principal:
    """Who the key's holder is to every service."""
    event = {"headers": {"Authorization": f"ApiKey {key}"}, "methodArn": ARN}
    answer = service.call("authorize", event)
    return Principal.from_authorizer(answer["context"])


def refused(service: Service, key: str) -> bool:
    try:
        principal(service, key)
    except Exception as error:
        return str(error) == "Unauthorized"
    return False


def operator(service: Service) -> Principal:
    return principal(service, service.call("create_operator", {"name": "root"})["apiKey"])


def new_user(service: Service, **fields: Any) -> dict[str, Any]:
    answer = service.request("POST", "/auth/users", {"name": "Ada"} | fields)
    assert answer.status == 201, answer
    return dict(answer.body)


def somebody(service: Service) -> Principal:
    """An ordinary user."""
    return user(new_user(service)["id"], USER_PERMISSIONS)


def new_key(service: Service, by: Principal, **fields: Any) -> dict[str, Any]:
    answer = service.request("POST", "/auth/api-keys", {"name": "laptop"} | fields, by=by)
    assert answer.status == 201, answer
    return dict(answer.body)


def code(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.body["error"]["code"]


def in_seconds(seconds: float) -> str:
    return timestamp(datetime.now(UTC) + timedelta(seconds=seconds))


def test_the_first_operator_may_do_everything(auth: Service) -> None:
    root = operator(auth)
    assert root.require("users:write").require("anything:at all")
    assert auth.request("GET", f"/auth/users/{root.user_id}", by=root).body["name"] == "root"


def test_a_caller_sees_who_they_are(auth: Service) -> None:
    ada = somebody(auth)
    assert auth.request("GET", "/auth/me", by=ada).body == ada.wire()
    assert auth.request("GET", "/auth/me", by=NOBODY).body["permissions"] == []


def test_an_ordinary_user_works_with_what_is_theirs(auth: Service) -> None:
    created = new_user(auth, name="Grace 🤖")
    held = {(p["resource"], action) for p in created["permissions"] for action in p["actions"]}
    assert held == {
        (resource, action)
        for resource in ("agents", "tasks", "events", "credentials")
        for action in ("read", "write")
    }
    assert auth.request("GET", f"/auth/users/{created['id']}").body == created


def test_a_user_gets_the_permissions_that_are_given(auth: Service) -> None:
    given = [{"resource": "agents", "actions": ["read"]}]
    created = new_user(auth, permissions=given)
    assert created["permissions"] == given
    assert new_user(auth, permissions=[])["permissions"] == []
    key = new_key(auth, user(created["id"]))["apiKey"]
    assert principal(auth, key).permissions == (Permission("agents", ("read",)),)


def test_a_repeated_creation_makes_one_user(auth: Service) -> None:
    key = {"Idempotency-Key": str(uuid.uuid4())}
    first, again = (
        auth.request("POST", "/auth/users", {"name": "Ada"}, headers=key) for _ in range(2)
    )
    assert again.body == first.body
    other = auth.request("POST", "/auth/users", {"name": "Grace"}, headers=key)
    assert code(other) == (422, "IdempotencyMismatch")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "  "},
        {"name": "n" * 101},
        {"name": None},
        {"name": 1},
        {"name": "a", "id": "mine"},
        {"name": "a", "permissions": {}},
        {"name": "a", "permissions": ["agents:read"]},
        {"name": "a", "permissions": [{"resource": "agents"}]},
        {"name": "a", "permissions": [{"resource": "agents", "actions": "read"}]},
        {"name": "a", "permissions": [{"resource": "a", "actions": []}] * 51},
    ],
)
def test_a_bad_user_is_refused(auth: Service, body: object) -> None:
    assert code(auth.request("POST", "/auth/users", body)) == (400, "Invalid")


def test_a_missing_user_is_not_found(auth: Service) -> None:
    assert code(auth.request("GET", "/auth/users/nobody")) == (404, "NotFound")
    assert code(auth.request("POST", "/auth/api-keys", {"name": "a", "userId": "nobody"})) == (
        404,
        "NotFound",
    )


def test_an_ordinary_user_can_not_manage_users(auth: Service) -> None:
    ada, grace = somebody(auth), somebody(auth)
    attempts = [
        auth.request("POST", "/auth/users", {"name": "a"}, by=ada),
        auth.request("GET", f"/auth/users/{grace.user_id}", by=ada),
        auth.request("POST", "/auth/api-keys", {"name": "a", "userId": grace.user_id}, by=ada),
    ]
    assert [code(answer) for answer in attempts] == [(403, "Forbidden")] * 3


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/auth/users"),
        ("GET", "/auth/users/a"),
        ("POST", "/auth/api-keys"),
        ("GET", "/auth/api-keys"),
        ("DELETE", "/auth/api-keys/a"),
    ],
)
def test_an_operation_needs_its_permission(auth: Service, method: str, path: str) -> None:
    answer = auth.request(method, path, {"name": "a"}, by=NOBODY)
    assert code(answer) == (403, "Forbidden")


def test_a_key_opens_the_door_for_its_user(auth: Service) -> None:
    ada = somebody(auth)
    key = new_key(auth, ada)
    found = principal(auth, key["apiKey"])
    assert (found.user_id, found.credential_id) == (ada.user_id, key["keyId"])
    assert found.permissions == ada.permissions


def test_an_operator_makes_keys_for_others(auth: Service) -> None:
    ada = somebody(auth)
    key = new_key(auth, operator(auth), userId=ada.user_id)
    assert principal(auth, key["apiKey"]).user_id == ada.user_id
    listed = auth.request("GET", "/auth/api-keys", by=ada).body["items"]
    assert [each["keyId"] for each in listed] == [key["keyId"]]


def test_the_key_itself_is_shown_once_and_stored_nowhere(auth: Service) -> None:
    ada = somebody(auth)
    key = new_key(auth, ada)
    text = key.pop("apiKey")
    secret = text.rpartition("_")[2]
    listed = auth.request("GET", "/auth/api-keys", by=ada)
    assert listed.body["items"] == [key]
    rows = json.dumps(auth.rows(), default=str)
    assert key["keyId"] in rows
    for hidden in (text, secret, secret[:32]):
        assert hidden not in rows
        assert hidden not in listed.text


def test_no_list_tells_the_hash_of_a_secret(auth: Service) -> None:
    ada = somebody(auth)
    new_key(auth, ada)
    (stored,) = [row for row in auth.rows() if str(row["PK"]).startswith("KEY#")]
    assert str(stored["secretHash"]) not in auth.request("GET", "/auth/api-keys", by=ada).text


def test_the_pages_of_the_list_are_the_list(auth: Service) -> None:
    ada, grace = somebody(auth), somebody(auth)
    made = [new_key(auth, ada, name=f"key {n}")["keyId"] for n in range(3)]
    new_key(auth, grace)
    seen, token = [], ""
    while True:
        page = auth.request("GET", f"/auth/api-keys?limit=2{token}", by=ada).body
        seen += [each["keyId"] for each in page["items"]]
        if page["nextToken"] is None:
            break
        token = f"&nextToken={page['nextToken']}"
    assert sorted(seen) == sorted(made)
    stolen = auth.request("GET", f"/auth/api-keys?limit=2{token}", by=grace)
    assert code(stolen) == (400, "Invalid")


def test_a_deleted_key_opens_nothing(auth: Service) -> None:
    ada = somebody(auth)
    key, kept = new_key(auth, ada), new_key(auth, ada)
    assert auth.request("DELETE", f"/auth/api-keys/{key['keyId']}", by=ada).status == 204
    assert refused(auth, key["apiKey"])
    assert principal(auth, kept["apiKey"]).user_id == ada.user_id
    again = auth.request("DELETE", f"/auth/api-keys/{key['keyId']}", by=ada)
    assert code(again) == (404, "NotFound")


def test_a_key_of_another_user_can_not_be_deleted(auth: Service) -> None:
    key = new_key(auth, somebody(auth))
    answer = auth.request("DELETE", f"/auth/api-keys/{key['keyId']}", by=somebody(auth))
    assert code(answer) == (403, "Forbidden")
    assert principal(auth, key["apiKey"])


def test_a_key_opens_nothing_after_its_expiry(auth: Service) -> None:
    ada = somebody(auth)
    past = new_key(auth, ada, expiresAt=in_seconds(60))
    future = new_key(auth, ada, expiresAt=in_seconds(120))
    with time_machine.travel(timedelta(seconds=61), tick=True):
        assert refused(auth, past["apiKey"])
        assert principal(auth, future["apiKey"]).user_id == ada.user_id
    listed = auth.request("GET", "/auth/api-keys", by=ada).body["items"]
    assert {each["expiresAt"] for each in listed} == {past["expiresAt"], future["expiresAt"]}


def test_a_key_that_has_expired_is_not_made(auth: Service) -> None:
    body = {"name": "laptop", "expiresAt": in_seconds(-1)}
    answer = auth.request("POST", "/auth/api-keys", body, by=somebody(auth))
    assert code(answer) == (400, "Invalid")


def manager(*more: Permission, quotas: Quotas = DEFAULT_QUOTAS) -> Principal:
    """Who looks after users, and has besides what is named."""
    held = (Permission("users", ("*",)), Permission("credentials", ("*",)), *more)
    return user("manager", held, quotas)


class TestWhoIsInChargeOfWhom:
    def test_nobody_changes_a_user_who_may_do_more(self, auth: Service) -> None:
        root, ada = operator(auth), somebody(auth)
        for changes in ({"disabled": True}, {"permissions": []}, {"quotas": {"agents": 1}}):
            for somebody_else in (root.user_id, ada.user_id):
                path = f"/auth/users/{somebody_else}"
                answer = auth.request("PUT", path, changes, by=manager())
                assert code(answer) == (403, "Forbidden"), (changes, somebody_else)
        equal = manager(*USER_PERMISSIONS)
        path = f"/auth/users/{ada.user_id}"
        assert auth.request("PUT", path, {"disabled": True}, by=equal).status == 200

    def test_nobody_gives_larger_quotas_than_their_own(self, auth: Service) -> None:
        small = manager(*USER_PERMISSIONS, quotas=Quotas(agents=3))
        created = auth.request("POST", "/auth/users", {"name": "Ada"}, by=small)
        assert code(created) == (403, "Forbidden")
        body = {"name": "Ada", "quotas": {"agents": 3}}
        made = auth.request("POST", "/auth/users", body, by=small)
        assert made.status == 201
        path = f"/auth/users/{made.body['id']}"
        answer = auth.request("PUT", path, {"quotas": {"agents": 4}}, by=small)
        assert code(answer) == (403, "Forbidden")

    def test_a_quota_that_is_not_named_stays_as_it_is(self, auth: Service) -> None:
        made = new_user(auth, quotas={"agents": 1, "sockets": 2})
        path = f"/auth/users/{made['id']}"
        changed = auth.request("PUT", path, {"quotas": {"agents": 5}})
        assert changed.body["quotas"] == made["quotas"] | {"agents": 5}

    def test_who_is_in_charge_sees_and_removes_keys(self, auth: Service) -> None:
        ada = somebody(auth)
        key = new_key(auth, ada)
        listing, path = f"/auth/api-keys?userId={ada.user_id}", f"/auth/api-keys/{key['keyId']}"
        assert code(auth.request("GET", listing, by=NOBODY_ELSE)) == (403, "Forbidden")
        assert code(auth.request("DELETE", path, by=manager())) == (403, "Forbidden")
        boss = manager(*USER_PERMISSIONS)
        [listed] = auth.request("GET", listing, by=boss).body["items"]
        assert listed["keyId"] == key["keyId"]
        assert auth.request("DELETE", path, by=boss).status == 204
        assert refused(auth, key["apiKey"])

    def test_users_are_listed_page_by_page(self, auth: Service) -> None:
        made = [new_user(auth, name=f"user {number}")["id"] for number in range(3)]
        first = auth.request("GET", "/auth/users?limit=2").body
        rest = auth.request("GET", f"/auth/users?nextToken={first['nextToken']}").body
        assert [each["id"] for each in first["items"] + rest["items"]] == made
        assert code(auth.request("GET", "/auth/users", by=NOBODY_ELSE)) == (403, "Forbidden")

    def test_a_user_of_an_external_issuer_has_no_keys(self, auth: Service) -> None:
        external = user("example-0123", USER_PERMISSIONS)
        answer = auth.request("POST", "/auth/api-keys", {"name": "x"}, by=external)
        assert code(answer) == (403, "Forbidden")


@pytest.mark.parametrize(
    ("function", "payload"),
    [
        ("rotate_signing_key", {"revok": True}),
        ("rotate_signing_key", {"revoke": "false"}),
        ("rotate_signing_key", [1]),
        ("create_operator", {}),
        ("create_operator", None),
        ("create_operator", {"name": ""}),
        ("create_operator", {"name": 5}),
        ("create_operator", {"name": "x", "foo": 1}),
    ],
)
def test_a_misspelt_payload_does_nothing(auth: Service, function: str, payload: object) -> None:
    with pytest.raises(ValueError, match=r"\w+"):
        auth.call(function, payload)
    assert auth.rows() == []


@pytest.mark.parametrize(
    "fields",
    [
        {"name": ""},
        {"name": None},
        {"keyId": "mine"},
        {"userId": ""},
        {"userId": "a b"},
        {"userId": 5},
        {"expiresAt": ""},
        {"expiresAt": "tomorrow"},
        {"expiresAt": "2030-01-01"},
        {"expiresAt": 1893456000},
        {"expiresAt": "2030-01-01T00:00:00.000+02:00"},
        {"expiresAt": "2030-13-45T99:99:99.999Z"},
        {"expiresAt": "\u0662020-01-01T00:00:00.000Z"},
    ],
    ids=json.dumps,
)
def test_a_bad_key_is_refused(auth: Service, fields: dict[str, Any]) -> None:
    answer = auth.request("POST", "/auth/api-keys", {"name": "a"} | fields, by=somebody(auth))
    assert code(answer) == (400, "Invalid")
