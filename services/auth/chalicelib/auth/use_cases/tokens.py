"""Access and refresh tokens: given for an API key, renewed, revoked."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass

from chalicelib.auth.models.api_keys import ApiKey
from chalicelib.auth.models.revocations import Revocation
from chalicelib.auth.models.sessions import OfferedToken, RefreshTokens, Session, TokenPair
from chalicelib.auth.models.signing_keys import ACCESS_SECONDS, Signer
from chalicelib.auth.models.users import User
from chalicelib.auth.repository.credentials import CredentialRepository
from chalicelib.auth.repository.revocations import KEPT_SECONDS
from chalicelib.auth.repository.sessions import SessionRepository
from chalicelib.auth.repository.signing_keys import KeyRingRepository
from chalicelib.auth.use_cases.credentials import enabled_user
from chalicelib.auth.use_cases.signing_keys import signing_key
from common.clock import epoch_in, new_id, timestamp
from common.dynamo import retry_conflicts
from common.errors import Forbidden, Unauthenticated
from common.events.auth import AccessRevokedV1
from common.principals import Principal, scope_of


@dataclass(frozen=True)
class Tokens:
    """What it takes to make and renew tokens. `issuer` is also their audience."""

    credentials: CredentialRepository
    sessions: SessionRepository
    keys: KeyRingRepository
    signer: Signer
    refresh_tokens: RefreshTokens
    issuer: str

    def issue(self, principal: Principal) -> TokenPair:
        """For an API key alone: what a token could be exchanged for would outlive it."""
        key = self.credentials.key(principal.credential_id)
        if key is None or key.user_id != principal.user_id or principal.session_id:
            raise Forbidden("Only an API key can be exchanged for tokens")
        session = Session.begin(key.user_id, key.key_id, epoch_in(0))
        pair = self._pair(session, key, enabled_user(self.credentials, key.user_id))
        self.sessions.add(session)
        return pair

    def offered(self, text: str) -> OfferedToken:
        """Raises Unauthenticated for a refresh token that we did not make, whenever that was."""
        offered = self.refresh_tokens.read(text)
        if offered is None:
            raise Unauthenticated()
        return offered

    def refresh(self, offered: OfferedToken) -> TokenPair:
        """The next pair. The same one again if the reply to this token was lost; the end of the
        session if the token was used long ago, for then somebody else has it."""

        def attempt() -> TokenPair:
            now, session = epoch_in(0), self._usable(offered)
            key, user = self._holder(session)
            if offered.generation == session.generation:
                after = session.rotated(now)
                pair = self._pair(after, key, user)  # first: if it fails, nothing has happened
                self.sessions.replace(session, after)
                return pair
            if session.answers_again(offered.generation, now):
                return self._pair(session, key, user)
            self._end(session)
            raise Unauthenticated()

        return retry_conflicts(attempt)

    def revoke(self, offered: OfferedToken) -> None:
        def attempt() -> None:
            session = self.sessions.get(offered.session_id)
            if session and not session.revoked:
                self._end(session)

        retry_conflicts(attempt)

    def _usable(self, offered: OfferedToken) -> Session:
        session = self.sessions.get(offered.session_id)
        if session is None or not session.is_usable(epoch_in(0)):
            raise Unauthenticated()
        return session

    def _holder(self, session: Session) -> tuple[ApiKey, User]:
        """Nobody any more once the API key that the session began with is gone."""
        key = self.credentials.key(session.key_id)
        if key is None or key.has_expired(timestamp()):
            raise Unauthenticated()
        return key, enabled_user(self.credentials, session.user_id)

    def _end(self, session: Session) -> None:
        event = AccessRevokedV1(
            user_id=session.user_id,
            credential_id=session.key_id,
            session_id=session.session_id,
            aggregate_id=session.session_id,
            aggregate_version=session.version + 1,
        )
        has_tokens = epoch_in(-KEPT_SECONDS) < session.rotated_at
        revocation = Revocation.of(session.session_id) if has_tokens else None
        self.sessions.end(session, revocation, event)

    def _pair(self, session: Session, key: ApiKey, user: User) -> TokenPair:
        now = epoch_in(0)
        end = min(now + ACCESS_SECONDS, key.expiry or now + ACCESS_SECONDS)
        return TokenPair(
            access_token=self._access_token(session, user, now, end),
            expires_in=end - now,
            refresh_token=self.refresh_tokens.text(session),
        )

    def _access_token(self, session: Session, user: User, now: int, end: int) -> str:
        """RFC 9068, with the user's quotas, and the version of the user that it speaks of."""
        key = signing_key(self.keys.get())
        claims = {
            "iss": self.issuer,
            "aud": self.issuer,
            "sub": user.id,
            "client_id": session.key_id,
            "sid": session.session_id,
            "jti": new_id(),
            "iat": now,
            "exp": end,
            "ver": user.version,
            "scope": scope_of(user.permissions),
            "quotas": user.quotas.wire(),
        }
        header = {"typ": "at+jwt", "alg": "ES256", "kid": key.kid}
        message = f"{_encoded(header)}.{_encoded(claims)}"
        signature = self.signer.sign(key.kid, message.encode())
        return f"{message}.{_base64url(signature)}"


def _encoded(part: Mapping[str, object]) -> str:
    return _base64url(json.dumps(part, separators=(",", ":")).encode())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
