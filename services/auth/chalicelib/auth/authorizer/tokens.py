"""Access tokens: ours, and those of the issuers that the operator trusts."""

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from chalicelib.auth.authorizer.key_sets import KeySet
from chalicelib.auth.models.revocations import digest_of
from common.principals import Permission, Principal, permissions_of
from common.quotas import Quotas

Claims = Mapping[str, Any]
LEEWAY_SECONDS = 10
"""By so much may the clock of who issues a token be ahead of this one."""
LONGEST_SECONDS = 24 * 3600
REQUIRED = ["iss", "aud", "sub", "iat", "exp"]


@dataclass(frozen=True)
class Issuer:
    """`types` are the JWT types (RFC 8725 §3.11) that its access tokens may have; others than us
    may name several audiences, and their clocks may differ at the end, too."""

    name: str
    audience: str
    keys: KeySet
    principal: Callable[[Claims, Mapping[str, int]], Principal]
    types: tuple[str | None, ...] = ("at+jwt",)
    leeway: int = 0
    one_audience: bool = True


def ours(name: str, keys: KeySet) -> Issuer:
    return Issuer(name, audience=name, keys=keys, principal=_our_principal)


def trusted(configured: Claims) -> Issuer:
    """An external OIDC issuer; services/auth/README.md says how one is configured."""
    return Issuer(
        name=configured["issuer"],
        audience=configured["audience"],
        keys=KeySet(configured["jwksUrl"], fresh=300, oldest=3600),
        principal=lambda claims, _revoked: _foreign_principal(configured, claims),
        types=("at+jwt", "JWT", None),
        leeway=LEEWAY_SECONDS,
        one_audience=False,
    )


def verify(token: str, issuers: Mapping[str, Issuer]) -> Principal:
    """Whose token this is. Raises for every token that is not beyond doubt."""
    header = jwt.get_unverified_header(token)
    told = jwt.decode(token, options={"verify_signature": False})
    issuer = issuers[told["iss"]]
    document = issuer.keys.including(header["kid"])
    key = document.keys[header["kid"]]
    if header.get("typ") not in issuer.types or "crit" in header:
        raise jwt.InvalidTokenError("not an access token")
    claims = jwt.decode(
        token,
        key,
        algorithms=[key.algorithm_name],
        audience=issuer.audience,
        issuer=issuer.name,
        leeway=issuer.leeway,
        options={
            "require": REQUIRED,
            "strict_aud": issuer.one_audience,
            "verify_iat": False,  # see below
        },
    )
    _require_sound_times(claims)
    return issuer.principal(claims, document.revoked)


def _require_sound_times(claims: Claims) -> None:
    """The library reads numbers out of strings, too, and has no patience with clocks."""
    for name in ("iat", "exp", "nbf"):
        if name in claims and type(claims[name]) not in (int, float):
            raise jwt.InvalidTokenError(f"{name} is not a number")
    if claims["iat"] > time.time() + LEEWAY_SECONDS:
        raise jwt.ImmatureSignatureError("not issued yet")


class Revoked(jwt.InvalidTokenError):
    """It was good once."""


def _require_unrevoked(claims: Claims, revoked: Mapping[str, int]) -> None:
    for identifier in (claims["sid"], claims["client_id"], claims["sub"]):
        if claims["ver"] < revoked.get(digest_of(identifier), 0):
            raise Revoked


def _our_principal(claims: Claims, revoked: Mapping[str, int]) -> Principal:
    _require_unrevoked(claims, revoked)
    return Principal(
        user_id=claims["sub"],
        credential_id=claims["client_id"],
        permissions=permissions_of(claims["scope"]),
        session_id=claims["sid"],
        expires_at=claims["exp"],
        quotas=Quotas.of(claims["quotas"]),
    )


def _foreign_principal(configured: Claims, claims: Claims) -> Principal:
    """Ids of another issuer may be anything, also ours: they are kept apart by its name. We hear
    of no revocation of its tokens, so they must not last long."""
    if claims["exp"] - claims["iat"] > LONGEST_SECONDS:
        raise jwt.InvalidTokenError("lasts too long")
    digest = hashlib.sha256(claims["sub"].encode()).hexdigest()[:32]
    return Principal(
        user_id=f"{configured['name']}-{digest}",
        credential_id=f"issuer-{configured['name']}",
        permissions=tuple(_granted(configured, claims)),
        expires_at=int(claims["exp"]),
    )


def _granted(configured: Claims, claims: Claims) -> list[Permission]:
    """What the values of one claim, a list or words, stand for; unknown ones for nothing."""
    held = claims.get(configured["permissionsClaim"], [])
    values = held.split() if isinstance(held, str) else held
    grants: Mapping[str, str] = configured["permissions"]
    known = [grants[value] for value in values if isinstance(value, str) and value in grants]
    return list(permissions_of(" ".join(known)))
