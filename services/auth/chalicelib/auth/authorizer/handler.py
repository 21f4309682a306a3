"""The custom authorizer of every REST and WebSocket API.

A function of its own that knows neither Chalice nor, for tokens, the AWS SDK: it is the first
thing that a client waits for. Whatever goes wrong, the answer is 401; API Gateway knows no other
way to say it than this exact message, and a failure must not open the door or tell what it was.
"""

import json
import logging
import os
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import urljoin

from chalicelib.auth.authorizer.credentials import Credential, credential_of
from chalicelib.auth.authorizer.key_sets import KeySet
from chalicelib.auth.authorizer.tokens import Issuer, Revoked, ours, trusted, verify
from common import logs
from common.addresses import client_address, network
from common.errors import Unauthenticated
from common.freshness import KEY_SET_SECONDS
from common.principals import Principal
from jwt.exceptions import ExpiredSignatureError, PyJWTError

logs.configure()
log = logging.getLogger(__name__)

FRESH_SECONDS = 20
WRONG = (ValueError, LookupError, PyJWTError, Unauthenticated)
"""What counts as a failure of who asks. A part of ours that is out of reach does not."""
OUTDATED = (ExpiredSignatureError, Revoked)
"""Was good once: its holder has to hear 401, to get a new one."""


def authorize(event: dict[str, Any], _context: object) -> dict[str, Any]:
    try:
        principal = _authenticated(credential_of(event))
    except Exception as error:
        log.warning("refused", extra={"reason": type(error).__name__})
        if isinstance(error, WRONG) and not isinstance(error, OUTDATED) and _is_locked(event):
            return _policy("Deny", event, "locked out", {})
        raise Exception("Unauthorized") from None
    log.info("known", extra={"userId": principal.user_id})
    return _policy("Allow", event, principal.user_id, principal.as_authorizer_context())


def _authenticated(credential: Credential) -> Principal:
    if credential.scheme == "bearer":
        return verify(credential.text, _issuers())
    from chalicelib.auth.authorizer import api_keys

    return api_keys.authenticate(credential.text)


@cache
def _issuers() -> Mapping[str, Issuer]:
    url = urljoin(os.environ.get("AWS_ENDPOINT_URL", ""), os.environ["JWKS_URL"])
    own = ours(os.environ["ISSUER"], KeySet(url, FRESH_SECONDS, KEY_SET_SECONDS))
    others = map(trusted, json.loads(os.environ.get("TRUSTED_ISSUERS", "[]")))
    return {issuer.name: issuer for issuer in (*others, own)}


def _is_locked(event: dict[str, Any]) -> bool:
    """Counts the failure, or says that there were too many from this address. Good credentials
    never come here: nobody is locked out by the failures of others."""
    from chalicelib.auth.authorizer import api_keys

    if not (event.get("requestContext") or {}).get("identity"):
        return False  # the emulator's sockets do not tell
    try:
        address = _address(event)
        if api_keys.is_locked(address):
            return True
        api_keys.note_failure(address)
    except Exception:
        log.exception("a failure was not counted")
    return False


def _address(event: dict[str, Any]) -> str:
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    return network(client_address(event["requestContext"], headers))


def _policy(
    effect: str, event: dict[str, Any], principal_id: str, context: Mapping[str, str]
) -> dict[str, Any]:
    """Kept per credential, not per route, so it covers the whole stage."""
    stage = "/".join(event["methodArn"].split("/")[:2])
    statement = {"Action": "execute-api:Invoke", "Effect": effect, "Resource": f"{stage}/*"}
    return {
        "principalId": principal_id,
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
        "context": context,
    }
