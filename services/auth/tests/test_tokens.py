"""Sessions from the exchange of an API key to their end, and the keys that sign tokens."""

from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
import time_machine
from chalicelib.auth.models.sessions import GRACE_SECONDS, IDLE_SECONDS, SESSION_SECONDS
from chalicelib.auth.models.signing_keys import ACCESS_SECONDS, PUBLISHED_FIRST_SECONDS
from common.clock import epoch_in, timestamp

from tests.door import Door
from tests.service import Answer, user


def refresh(door: Door, token: str) -> Answer:
    return door.auth.request("POST", "/auth/token/refresh", {"refreshToken": token})


def revoke(door: Door, token: str) -> Answer:
    return door.auth.request("POST", "/auth/token/revoke", {"refreshToken": token})


def refreshed(door: Door, token: str) -> dict[str, Any]:
    answer = refresh(door, token)
    assert answer.status == 200, answer
    return dict(answer.body)


def key_ids(door: Door) -> list[str]:
    document = door.auth.request("GET", "/.well-known/jwks.json").body
    return [key["kid"] for key in document["keys"]]


def signer_of(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


def test_an_api_key_is_exchanged_for_a_token_pair(door: Door) -> None:
    user_id, key = door.user(quotas={"agents": 3})
    pair = door.tokens(key)
    assert pair.keys() == {"accessToken", "tokenType", "expiresIn", "refreshToken"}
    assert (pair["tokenType"], pair["expiresIn"]) == ("Bearer", ACCESS_SECONDS)
    principal = door.principal(f"Bearer {pair['accessToken']}")
    by_key = door.principal(f"ApiKey {key}")
    assert principal.user_id == user_id
    assert principal.permissions == by_key.permissions
    assert principal.quotas == by_key.quotas
    assert principal.quotas.agents == 3
    assert principal.expires_at is not None
    assert 0 < principal.expires_at - epoch_in(0) <= ACCESS_SECONDS


def test_token_answers_may_not_be_stored(door: Door) -> None:
    by = door.principal(f"ApiKey {door.key}")
    answer = door.auth.request("POST", "/auth/token", by=by)
    assert answer.headers["Cache-Control"] == "no-store"


def test_anybody_can_verify_a_token_with_the_published_key(door: Door) -> None:
    document = door.auth.request("GET", "/.well-known/jwks.json").body
    token = door.tokens()["accessToken"]
    key = jwt.PyJWKSet.from_dict(document)[signer_of(token)]
    claims = jwt.decode(token, key, algorithms=["ES256"], audience="agentic-test")
    assert claims["iss"] == "agentic-test"
    assert jwt.get_unverified_header(token)["typ"] == "at+jwt"
    assert all("d" not in public for public in document["keys"])


def test_only_an_api_key_is_exchanged(door: Door) -> None:
    by_token = door.principal(f"Bearer {door.tokens()['accessToken']}")
    for caller in (by_token, user("somebody"), user("agentic", ())):
        answer = door.auth.request("POST", "/auth/token", by=caller)
        assert answer.status == 403
        assert answer.body["error"]["code"] == "Forbidden"


def test_nothing_that_a_token_could_be_made_from_is_stored(door: Door) -> None:
    pair = door.tokens()
    again = refreshed(door, pair["refreshToken"])
    stored = repr(door.auth.rows())
    for secret in (door.key, pair["refreshToken"], pair["accessToken"], again["refreshToken"]):
        assert secret not in stored
        assert secret[-30:] not in stored


class TestRotation:
    def test_every_refresh_gives_a_new_pair(self, door: Door) -> None:
        pair = door.tokens()
        seen = {pair["refreshToken"]}
        for _ in range(3):
            pair = refreshed(door, pair["refreshToken"])
            assert door.principal(f"Bearer {pair['accessToken']}").user_id == door.user_id
            seen.add(pair["refreshToken"])
        assert len(seen) == 4

    def test_a_lost_reply_is_given_again(self, door: Door) -> None:
        first = door.tokens()["refreshToken"]
        lost = refreshed(door, first)["refreshToken"]
        assert refreshed(door, first)["refreshToken"] == lost
        assert refreshed(door, lost)["refreshToken"] != lost

    def test_an_old_token_ends_the_session(self, door: Door) -> None:
        first = door.tokens()["refreshToken"]
        second = refreshed(door, first)["refreshToken"]
        third = refreshed(door, second)
        assert refresh(door, first).status == 401, "the token before the last one was used"
        assert refresh(door, third["refreshToken"]).status == 401, "the thief's session goes on"
        door.forget()
        assert door.refuses_credential(f"Bearer {third['accessToken']}")

    def test_the_predecessor_ends_the_session_after_the_grace(self, door: Door) -> None:
        first = door.tokens()["refreshToken"]
        second = refreshed(door, first)["refreshToken"]
        with time_machine.travel(timedelta(seconds=GRACE_SECONDS + 2), tick=True):
            assert refresh(door, first).status == 401
            assert refresh(door, second).status == 401

    def test_one_session_does_not_end_with_another(self, door: Door) -> None:
        mine, other = door.tokens()["refreshToken"], door.tokens()["refreshToken"]
        assert revoke(door, other).status == 204
        assert refresh(door, other).status == 401
        assert refresh(door, mine).status == 200

    def test_made_up_tokens_end_no_session(self, door: Door) -> None:
        token = door.tokens()["refreshToken"]
        session = token.rsplit("_", 2)[0]
        mac = token.rsplit("_", 1)[1]
        for made_up in (f"{session}_1_{mac[::-1]}", f"{session}_2_{mac}", f"{session}_0_{mac}"):
            assert refresh(door, made_up).status == 401
            assert revoke(door, made_up).status == 401
        assert refresh(door, token).status == 200

    @pytest.mark.parametrize("seconds", [IDLE_SECONDS + 1, SESSION_SECONDS + 1])
    def test_a_session_ends_by_itself(self, door: Door, seconds: int) -> None:
        token = door.tokens()["refreshToken"]
        with time_machine.travel(timedelta(seconds=seconds), tick=True):
            assert refresh(door, token).status == 401

    def test_a_session_does_not_outlive_its_api_key(self, door: Door) -> None:
        _, key = door.user()
        token = door.tokens(key)["refreshToken"]
        by = door.principal(f"ApiKey {key}")
        door.auth.request("DELETE", f"/auth/api-keys/{key.split('_')[1]}", by=by)
        assert refresh(door, token).status == 401

    def test_a_refresh_takes_over_new_permissions(self, door: Door) -> None:
        user_id, key = door.user()
        token = door.tokens(key)["refreshToken"]
        held = [{"resource": "agents", "actions": ["read"]}]
        operator = door.principal(f"ApiKey {door.key}")
        path = f"/auth/users/{user_id}"
        assert door.auth.request("PUT", path, {"permissions": held}, by=operator).status == 200
        with time_machine.travel(timedelta(seconds=1), tick=True):
            access = refreshed(door, token)["accessToken"]
            door.forget()
            principal = door.principal(f"Bearer {access}")
        assert [each.wire() for each in principal.permissions] == held


@pytest.mark.parametrize("body", [{}, {"refreshToken": ""}, {"refreshToken": 1}, {"token": "x"}])
@pytest.mark.parametrize("path", ["/auth/token/refresh", "/auth/token/revoke"])
def test_a_malformed_request_is_told_which_field(door: Door, path: str, body: Any) -> None:
    answer = door.auth.request("POST", path, body)
    assert answer.status == 400
    assert answer.body["error"]["details"]["fields"]


class TestRevocation:
    """A shortened clock stands for the time in which the authorizer keeps the key set; the time in
    which API Gateway keeps the authorizer's answer comes on top (infra/tests/test_stacks.py)."""

    def test_revoking_a_session_ends_its_access_tokens(self, door: Door) -> None:
        pair, other = door.tokens(), door.tokens()
        assert door.principal(f"Bearer {pair['accessToken']}")
        assert revoke(door, pair["refreshToken"]).status == 204
        assert revoke(door, pair["refreshToken"]).status == 204, "again changes nothing"
        with time_machine.travel(timedelta(seconds=20), tick=True):
            assert door.refuses_credential(f"Bearer {pair['accessToken']}")
            assert door.principal(f"Bearer {other['accessToken']}").user_id == door.user_id

    def test_removing_an_api_key_ends_its_access_tokens(self, door: Door) -> None:
        _, key = door.user()
        access = door.tokens(key)["accessToken"]
        by = door.principal(f"Bearer {access}")
        door.auth.request("DELETE", f"/auth/api-keys/{key.split('_')[1]}", by=by)
        assert door.refuses_credential(f"ApiKey {key}")
        with time_machine.travel(timedelta(seconds=20), tick=True):
            assert door.refuses_credential(f"Bearer {access}")

    def test_a_key_set_that_cannot_be_renewed_soon_counts_for_nothing(
        self, door: Door, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        access = door.tokens()["accessToken"]
        assert door.principal(f"Bearer {access}")
        door.auth.table.delete_item(Key={"PK": "SIGNING", "SK": "KEYS"})
        with time_machine.travel(timedelta(seconds=31), tick=True):
            assert door.refuses_credential(f"Bearer {access}")

    def test_what_is_revoked_is_published_without_ids(self, door: Door) -> None:
        pair = door.tokens()
        session = door.principal(f"Bearer {pair['accessToken']}").session_id
        revoke(door, pair["refreshToken"])
        document = door.auth.request("GET", "/.well-known/jwks.json")
        assert len(document.body["revoked"]) == 1
        assert session is not None
        assert session not in document.text

    def test_it_is_announced_for_those_who_hold_connections(self, door: Door) -> None:
        revoke(door, door.tokens()["refreshToken"])
        [event] = door.auth.outbox()
        assert event["detail-type"] == "AccessRevoked"
        assert event["detail"]["userId"] == door.user_id
        assert event["detail"]["credentialId"] == door.key.split("_")[1]
        assert event["detail"]["sessionId"]


class TestSigningKeys:
    def rotate(self, door: Door, **options: bool) -> list[dict[str, Any]]:
        answer = door.auth.call("rotate_signing_key", options)
        return list(answer["keys"])

    def test_a_new_key_is_published_before_it_signs(self, door: Door) -> None:
        old = door.tokens()["accessToken"]
        self.rotate(door)
        assert len(key_ids(door)) == 2
        assert signer_of(door.tokens()["accessToken"]) == signer_of(old)
        with time_machine.travel(timedelta(seconds=PUBLISHED_FIRST_SECONDS + 1), tick=True):
            new = door.tokens()["accessToken"]
            assert signer_of(new) != signer_of(old)
            assert {signer_of(old), signer_of(new)} == set(key_ids(door))
            for token in (old, new):
                assert door.principal(f"Bearer {token}").user_id == door.user_id

    def test_an_old_key_goes_when_no_token_of_its_can_be_valid(self, door: Door) -> None:
        old = signer_of(door.tokens()["accessToken"])
        self.rotate(door)
        end = PUBLISHED_FIRST_SECONDS + ACCESS_SECONDS
        with time_machine.travel(timedelta(seconds=end - 1), tick=True):
            assert old in key_ids(door)
        with time_machine.travel(timedelta(seconds=end + 61), tick=True):
            assert old not in key_ids(door)
            assert len(key_ids(door)) == 1

    def test_a_revoked_key_counts_no_more(self, door: Door) -> None:
        token = door.tokens()["accessToken"]
        assert door.principal(f"Bearer {token}")
        [only] = self.rotate(door, revoke=True)
        assert key_ids(door) == [only["kid"]]
        with time_machine.travel(timedelta(seconds=20), tick=True):
            assert door.refuses_credential(f"Bearer {token}")
            new = door.tokens()["accessToken"]
            assert door.principal(f"Bearer {new}").user_id == door.user_id

    def test_without_a_key_the_service_says_so(self, door: Door) -> None:
        by = door.principal(f"ApiKey {door.key}")
        door.auth.table.delete_item(Key={"PK": "SIGNING", "SK": "KEYS"})
        answer = door.auth.request("POST", "/auth/token", by=by)
        assert answer.status == 503


class TestWhatOutlivesWhat:
    def test_a_token_ends_with_its_api_key(self, door: Door) -> None:
        by = door.principal(f"ApiKey {door.key}")
        end = timestamp(datetime.now(UTC) + timedelta(seconds=60))
        body = {"name": "short", "expiresAt": end}
        key = door.auth.request("POST", "/auth/api-keys", body, by=by).body["apiKey"]
        pair = door.tokens(key)
        assert 55 <= pair["expiresIn"] <= 60
        with time_machine.travel(timedelta(seconds=61), tick=True):
            assert door.refuses_credential(f"Bearer {pair['accessToken']}")
            assert refresh(door, pair["refreshToken"]).status == 401

    def test_a_token_makes_no_api_key(self, door: Door) -> None:
        by = door.principal(f"Bearer {door.tokens()['accessToken']}")
        answer = door.auth.request("POST", "/auth/api-keys", {"name": "x"}, by=by)
        assert answer.status == 403

    def test_a_failing_signer_uses_up_no_refresh_token(self, door: Door) -> None:
        token = door.tokens()["refreshToken"]
        ring = door.auth.table.get_item(Key={"PK": "SIGNING", "SK": "KEYS"})["Item"]
        door.auth.table.delete_item(Key={"PK": "SIGNING", "SK": "KEYS"})
        assert refresh(door, token).status == 503
        door.auth.table.put_item(Item=ring)
        with time_machine.travel(timedelta(seconds=GRACE_SECONDS + 2), tick=True):
            assert refresh(door, token).status == 200

    def test_the_end_of_a_session_without_live_tokens_is_not_published(self, door: Door) -> None:
        token = door.tokens()["refreshToken"]
        with time_machine.travel(timedelta(seconds=ACCESS_SECONDS + 61), tick=True):
            assert revoke(door, token).status == 204
            document = door.auth.request("GET", "/.well-known/jwks.json").body
        assert document["revoked"] == {}

    def test_a_token_made_after_a_change_of_the_user_counts_at_once(self, door: Door) -> None:
        user_id, key = door.user()
        old = door.tokens(key)
        operator = door.principal(f"ApiKey {door.key}")
        path = f"/auth/users/{user_id}"
        changed = {"quotas": {"agents": 5}}
        assert door.auth.request("PUT", path, changed, by=operator).status == 200
        new = refreshed(door, old["refreshToken"])
        door.forget()
        assert door.refuses_credential(f"Bearer {old['accessToken']}")
        assert door.principal(f"Bearer {new['accessToken']}").quotas.agents == 5
