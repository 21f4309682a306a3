"""Tokens of external OIDC issuers, against a real one on the loopback."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from common.principals import scope_of
from pydantic import ValidationError

from infra.trusted_issuers import trusted_issuers
from tests.door import Door
from tests.oidc import OidcIssuer, running_issuer


@pytest.fixture
def issuer() -> Iterator[OidcIssuer]:
    with running_issuer() as issuer:
        yield issuer


@pytest.fixture
def trusting(door: Door, issuer: OidcIssuer, monkeypatch: pytest.MonkeyPatch) -> Door:
    monkeypatch.setenv("TRUSTED_ISSUERS", json.dumps([issuer.configuration()]))
    return door


def test_its_users_get_what_their_claims_stand_for(trusting: Door, issuer: OidcIssuer) -> None:
    principal = trusting.principal(f"Bearer {issuer.token()}")
    assert issuer.asked == ["/jwks.json"]
    assert principal.user_id.startswith("example-")
    assert principal.credential_id == "issuer-example"
    assert scope_of(principal.permissions) == "agents:read agents:write tasks:read tasks:write"
    assert principal.expires_at is not None
    assert principal.session_id is None


@pytest.mark.parametrize(
    ("groups", "scope"),
    [
        (["auditors"], "events:read"),
        ("auditors others", "events:read"),
        (["others"], ""),
        ([], ""),
        (None, ""),
        ([1, {"engineers": True}, "auditors"], "events:read"),
    ],
)
def test_claims_that_stand_for_nothing_give_nothing(
    trusting: Door, issuer: OidcIssuer, groups: Any, scope: str
) -> None:
    principal = trusting.principal(f"Bearer {issuer.token(groups=groups)}")
    assert scope_of(principal.permissions) == scope


def test_its_users_are_never_ours(trusting: Door, issuer: OidcIssuer) -> None:
    token = issuer.token(sub=trusting.user_id)
    assert trusting.principal(f"Bearer {token}").user_id != trusting.user_id


def test_one_subject_is_one_user(trusting: Door, issuer: OidcIssuer) -> None:
    ids = {
        subject: {trusting.principal(f"Bearer {issuer.token(sub=subject)}").user_id for _ in "ab"}
        for subject in ("ada", "grace")
    }
    assert all(len(found) == 1 for found in ids.values())
    assert ids["ada"] != ids["grace"]


def test_its_tokens_are_not_exchanged_for_ours(trusting: Door, issuer: OidcIssuer) -> None:
    by = trusting.principal(f"Bearer {issuer.token()}")
    assert trusting.auth.request("POST", "/auth/token", by=by).status == 403


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_it_rotates_its_keys_as_it_likes(
    trusting: Door, issuer: OidcIssuer, algorithm: str
) -> None:
    before = issuer.token()
    assert trusting.principal(f"Bearer {before}")
    issuer.rotate("next", algorithm)
    with time_machine.travel(timedelta(seconds=10), tick=True):
        assert trusting.principal(f"Bearer {issuer.token()}")
        assert trusting.principal(f"Bearer {before}")


def test_its_outage_does_not_lock_its_users_out(trusting: Door, issuer: OidcIssuer) -> None:
    assert trusting.principal(f"Bearer {issuer.token()}")
    issuer.status = 503
    with time_machine.travel(timedelta(minutes=30), tick=True):
        assert trusting.principal(f"Bearer {issuer.token()}")
    with time_machine.travel(timedelta(minutes=61), tick=True):
        assert trusting.refuses_credential(f"Bearer {issuer.token()}")


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another"},
        {"aud": None},
        {"iss": "https://evil.example.com/"},
        {"iss": "agentic-test"},
        {"iss": None},
        {"sub": None},
        {"sub": 7},
        {"exp": 1},
        {"exp": None},
        {"exp": "4102444800"},
        {"exp": 1e309},
        {"exp": True},
        {"iat": None},
        {"iat": "now"},
        {"iat": 4102444800},
        {"nbf": 4102444800},
        {"nbf": "soon"},
        {"exp": 4102444800},
    ],
    ids=str,
)
def test_claims_that_are_not_as_they_must_be_are_refused(
    trusting: Door, issuer: OidcIssuer, claims: dict[str, Any]
) -> None:
    assert trusting.refuses_credential(f"Bearer {issuer.token(**claims)}")


@pytest.mark.parametrize(
    "headers",
    [{"typ": "logout+jwt"}, {"typ": 1}, {"kid": "unknown"}, {"kid": ""}, {"crit": ["exp"]}],
    ids=str,
)
def test_headers_that_are_not_as_they_must_be_are_refused(
    trusting: Door, issuer: OidcIssuer, headers: dict[str, Any]
) -> None:
    assert trusting.refuses_credential(f"Bearer {issuer.token(headers)}")


def test_several_audiences_are_fine_if_we_are_one(trusting: Door, issuer: OidcIssuer) -> None:
    assert trusting.principal(f"Bearer {issuer.token(aud=['other', 'agentic'])}")
    assert trusting.refuses_credential(f"Bearer {issuer.token(aud=['other'])}")


@pytest.mark.parametrize("revoked", [[], {"x": "y"}, None, "all"])
def test_what_else_is_in_its_key_set_is_its_own_business(
    trusting: Door, issuer: OidcIssuer, revoked: object
) -> None:
    issuer.document |= {"revoked": revoked, "keys": [None, *issuer.document["keys"]]}
    assert trusting.principal(f"Bearer {issuer.token()}")


def test_only_public_signing_keys_count(trusting: Door, issuer: OidcIssuer) -> None:
    import jwt

    secret = "c2VjcmV0" * 8
    issuer.document["keys"] += [
        {"kty": "oct", "k": secret, "kid": "shared", "alg": "HS256"},
        {**issuer.document["keys"][0], "kid": "for-encryption", "use": "enc"},
        {"kty": "unknown", "kid": "strange"},
    ]
    assert trusting.principal(f"Bearer {issuer.token()}"), "one odd key spoils the others"
    claims = jwt.decode(issuer.token(), options={"verify_signature": False})
    forged = jwt.encode(claims, jwt.utils.base64url_decode(secret), "HS256", {"kid": "shared"})
    assert trusting.refuses_credential(f"Bearer {forged}")
    assert trusting.refuses_credential(f"Bearer {issuer.token({'kid': 'for-encryption'})}")


def test_an_unknown_issuer_is_never_asked(door: Door, issuer: OidcIssuer) -> None:
    headers = {"jku": f"{issuer.url}/jwks.json", "x5u": f"{issuer.url}/x5u"}
    assert door.refuses_credential(f"Bearer {issuer.token(headers)}")
    assert issuer.asked == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "Has Spaces"},
        {"jwksUrl": "http://login.example.com/jwks"},
        {"jwksUrl": "file:///etc/passwd"},
        {"permissions": {"engineers": "agents:fly"}},
        {"permissions": {"engineers": "robots:read"}},
        {"permissionsClaim": ""},
        {"secret": "x"},
    ],
    ids=str,
)
def test_a_wrong_configuration_is_not_deployed(
    issuer: OidcIssuer, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, Any]
) -> None:
    file = tmp_path / "issuers.json"
    monkeypatch.setenv("TRUSTED_ISSUERS_FILE", str(file))
    with pytest.raises(ValueError, match="does not exist"):
        trusted_issuers("local")
    file.write_text(json.dumps([issuer.configuration()]))
    assert json.loads(trusted_issuers("local")) == [issuer.configuration()]
    file.write_text(json.dumps([issuer.configuration(**wrong)]))
    with pytest.raises(ValidationError):
        trusted_issuers("local")
    file.write_text(json.dumps([issuer.configuration(), issuer.configuration()]))
    with pytest.raises(ValidationError, match="the same name"):
        trusted_issuers("local")
