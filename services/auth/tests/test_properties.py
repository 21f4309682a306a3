"""The platform's properties of authentication, against the authorizer that all APIs use."""

import base64
import hmac
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import time_machine
from chalicelib.auth.models.api_keys import KeyText
from common.clock import timestamp
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from tests.door import Door
from tests.strategies import json_values

FATES = ("valid", "expiring", "expired", "removed", "of nobody", "of another deployment")
FORGERS: dict[str, Any] = {
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "RS256": rsa.generate_private_key(65537, 2048),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    "HS256": "k" * 32,
    "none": None,
}
CLAIMS = ("iss", "aud", "sub", "client_id", "sid", "iat", "exp", "scope", "quotas", "nbf")


def in_seconds(seconds: float) -> str:
    return timestamp(datetime.now(UTC) + timedelta(seconds=seconds))


class KeyChain:
    """Makes API keys with a fate."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._by = door.principal(f"ApiKey {door.key}")

    def key(self, fate: str) -> str:
        if fate == "of another deployment":
            return str(KeyText.new())
        expires = {"expiring": in_seconds(3600), "expired": in_seconds(-1)}.get(fate)
        body = {"name": fate} | ({"expiresAt": expires} if expires else {})
        if fate == "of nobody":
            user_id, text = self._door.user()
            self._door.auth.table.delete_item(Key={"PK": f"USER#{user_id}", "SK": "METADATA"})
            return text
        with time_machine.travel(timedelta(hours=-1), tick=True):  # none is made expired
            made = self._door.auth.request("POST", "/auth/api-keys", body, by=self._by).body
        if fate == "removed":
            path = f"/auth/api-keys/{made['keyId']}"
            assert self._door.auth.request("DELETE", path, by=self._by).status == 204
        return str(made["apiKey"])


@st.composite
def edits(draw: st.DrawFn) -> tuple[int, int, str]:
    """Where a text is cut, how much of it goes, and what comes in its place."""
    replacement = st.text(max_size=3) | st.text("abcXYZ019_.-", max_size=3)
    return draw(st.integers(0, 60)), draw(st.integers(0, 60)), draw(replacement)


def edited(text: str, edit: tuple[int, int, str]) -> str:
    start, length, replacement = edit
    return text[:start] + replacement + text[start + length :]


def test_property_51_api_keys_are_validated_against_stored_credentials(door: Door) -> None:
    """Feature: realtime-agentic-api, Property 51: API key validation"""
    seen: Counter[bool] = Counter()
    chain = KeyChain(door)
    keys = {fate: chain.key(fate) for fate in FATES}

    @given(fate=st.sampled_from((*FATES, "valid", "valid")), edit=edits())
    def check(fate: str, edit: tuple[int, int, str]) -> None:
        key = keys[fate]
        offer(fate, key)
        offer(fate, edited(key, edit))

    def offer(fate: str, offered: str) -> None:
        key = keys[fate]
        opens = fate in ("valid", "expiring") and offered == key
        seen[opens] += 1
        if opens:
            principal = door.principal(f"ApiKey {offered}")
            assert principal.user_id == door.user_id
            assert principal.credential_id == key.split("_")[1]
        else:
            assert door.refuses_credential(f"ApiKey {offered}")

    check()
    assert seen[True] >= 5
    assert seen[False] >= 50


def _part(value: object) -> str:
    text = json.dumps(value) if not isinstance(value, bytes) else value.decode()
    return base64.urlsafe_b64encode(text.encode("utf-8", "surrogatepass")).decode().rstrip("=")


@st.composite
def forgeries(draw: st.DrawFn, token: str, public: bytes) -> str:
    """The token with something about it changed, signed by whoever can sign it."""
    header, claims, signature = token.split(".")
    told: dict[str, Any] = json.loads(base64.urlsafe_b64decode(claims + "=="))
    head: dict[str, Any] = jwt.get_unverified_header(token)
    match draw(st.sampled_from(["text", "claim", "missing", "header", "forger", "confused"])):
        case "text":
            start = draw(st.integers(0, len(token) - 1))
            return edited(token, (start, 1, draw(st.text(max_size=2))))
        case "claim":
            told[draw(st.sampled_from(CLAIMS))] = draw(json_values)
        case "missing":
            del told[draw(st.sampled_from([name for name in CLAIMS if name in told]))]
        case "header":
            name = draw(st.sampled_from(["kid", "alg", "typ", "jku", "jwk", "x5u", "crit", "b64"]))
            head[name] = draw(json_values | st.sampled_from(["../../etc/passwd", "none", "' OR 1"]))
            return f"{_part(head)}.{claims}.{signature}"
        case "forger":
            algorithm = draw(st.sampled_from(sorted(FORGERS)))
            headers = {"kid": head["kid"], "typ": head["typ"]}
            return jwt.encode(told, FORGERS[algorithm], algorithm=algorithm, headers=headers)
        case "confused":  # the public key, which everybody has, as an HMAC secret
            head["alg"] = "HS256"
            message = f"{_part(head)}.{_part(told)}"
            mac = hmac.digest(public, message.encode(), "sha256")
            return f"{message}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"
    return f"{header}.{_part(told)}.{signature}"


def test_property_52_the_signature_and_expiry_of_tokens_are_verified(door: Door) -> None:
    """Feature: realtime-agentic-api, Property 52: JWT token verification"""
    token = door.tokens()["accessToken"]
    claims = jwt.decode(token, options={"verify_signature": False})
    document = door.auth.request("GET", "/.well-known/jwks.json").body
    public = (
        jwt.PyJWKSet.from_dict(document)
        .keys[0]
        .key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    issued = datetime.fromtimestamp(claims["iat"], UTC)
    seen: Counter[str] = Counter()

    @given(data=st.data(), age=st.integers(-120, 1020))
    def check(data: st.DataObject, age: int) -> None:
        changed = data.draw(forgeries(token, public))
        with time_machine.travel(issued + timedelta(seconds=age), tick=False):
            if age < -10 or age >= 900:
                seen["at another time"] += 1
                assert door.refuses_credential(f"Bearer {token}")
            else:
                seen["in its time"] += 1
                assert door.principal(f"Bearer {token}").user_id == door.user_id
            if changed != token:
                seen["changed"] += 1
                assert door.refuses_credential(f"Bearer {changed}")
            else:
                seen["unchanged"] += 1

    check()
    assert seen["at another time"] >= 5
    assert seen["in its time"] >= 20
    assert seen["changed"] >= 80


def test_property_53_whatever_is_not_a_valid_credential_gets_401(door: Door) -> None:
    """Feature: realtime-agentic-api, Property 53: Authentication failure response"""
    seen: Counter[str] = Counter()
    token, key = door.tokens()["accessToken"], door.key
    text = st.text(max_size=40) | st.binary(max_size=40).map(lambda raw: raw.decode("latin-1"))
    scheme = st.sampled_from(["", "ApiKey ", "Bearer ", "apikey ", "Basic ", "Bearer  "])
    value = (
        st.tuples(scheme, text | st.sampled_from([token[:-1], key[:-1], token + ".", key + "a"]))
        .map("".join)
        .filter(lambda text: key not in text or text.endswith("a"))
    )
    names = st.sampled_from(["Authorization", "authorization", "x-api-key", "X-Api-Key", "Cookie"])
    headers = st.dictionaries(names, st.lists(value, max_size=3), max_size=3)
    contexts = st.none() | st.just({}) | st.just({"identity": {"sourceIp": "192.0.2.1"}})

    @given(
        event=st.fixed_dictionaries(
            {"requestContext": contexts},
            optional={
                "multiValueHeaders": headers,
                "headers": st.dictionaries(names, value, max_size=3) | json_values,
                "authorizationToken": value,
            },
        )
    )
    def check(event: dict[str, Any]) -> None:
        seen["with headers" if event.get("multiValueHeaders") else "without"] += 1
        assert door.refuses(event)

    check()
    assert seen["with headers"] >= 20


def test_a_mutated_refresh_token_is_refused_with_one_and_the_same_body(door: Door) -> None:
    token = door.tokens()["refreshToken"]
    bodies = set()

    @given(edit=edits(), path=st.sampled_from(["refresh", "revoke"]))
    def check(edit: tuple[int, int, str], path: str) -> None:
        changed = edited(token, edit)
        if changed == token or not changed:
            return
        body = {"refreshToken": changed}
        answer = door.auth.request("POST", f"/auth/token/{path}", body)
        assert answer.status == 401, changed
        error = dict(answer.body["error"])
        del error["requestId"], error["timestamp"]
        bodies.add(json.dumps(error))

    check()
    assert len(bodies) == 1
