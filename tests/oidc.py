"""An OIDC issuer of the tests' own: real keys, a JWK Set over HTTP, and tokens as it likes."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.web import website

ISSUER = "https://login.example.com/"
AUDIENCE = "agentic"
GRANTS = {"engineers": "agents:read agents:write tasks:read tasks:write", "auditors": "events:read"}


class OidcIssuer:
    def __init__(self, url: str = "") -> None:
        self.url = url
        self.private: dict[str, Any] = {}
        self.document: dict[str, Any] = {"keys": []}
        self.status = 200
        self.asked: list[str] = []
        self.rotate("rsa-1", "RS256")

    def rotate(self, kid: str, algorithm: str) -> None:
        """Adds a key and signs with it from now on."""
        if algorithm == "RS256":
            private: Any = rsa.generate_private_key(65537, 2048)
        else:
            private = ec.generate_private_key(ec.SECP256R1())
        public = jwt.get_algorithm_by_name(algorithm).to_jwk(private.public_key())
        jwk = json.loads(public) | {"kid": kid, "use": "sig", "alg": algorithm}
        self.private[kid] = (private, algorithm)
        self.document["keys"].append(jwk)
        self.kid = kid

    def token(self, headers: dict[str, Any] | None = None, **claims: Any) -> str:
        now = int(time.time())
        told = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "iat": now, "exp": now + 600}
        told |= {"groups": ["engineers"], **claims}
        private, algorithm = self.private[self.kid]
        sent = {name: value for name, value in told.items() if value is not None}
        return jwt.encode(sent, private, algorithm, headers={"kid": self.kid} | (headers or {}))

    def respond(self, path: str) -> tuple[int, str]:
        self.asked.append(path)
        return self.status, json.dumps(self.document)

    def configuration(self, **fields: Any) -> dict[str, Any]:
        """What an operator says about it."""
        return {
            "name": "example",
            "issuer": ISSUER,
            "audience": AUDIENCE,
            "jwksUrl": f"{self.url}/jwks.json",
            "permissionsClaim": "groups",
            "permissions": GRANTS,
        } | fields


@contextmanager
def running_issuer(port: int = 0) -> Iterator[OidcIssuer]:
    issuer = OidcIssuer()
    with website(issuer.respond, port) as url:
        issuer.url = url
        yield issuer
