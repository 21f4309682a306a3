"""What `AccessRevoked` says, and whom it concerns."""

from common.models import Model
from common.principals import Principal


class Revocation(Model):
    """Of a session, of an API key, or, if neither is named, of the whole user."""

    credential_id: str | None = None
    session_id: str | None = None

    def concerns(self, principal: Principal) -> bool:
        return self.credential_id in (None, principal.credential_id) and self.session_id in (
            None,
            principal.session_id,
        )

    def refuses(self, principal: Principal) -> bool:
        """Whether a connection is not to be opened though the authorizer let it: what it said may
        be older than this. After a change of the whole user what it says of API keys is new."""
        is_of_user = self.credential_id is None and self.session_id is None
        return self.concerns(principal) and not (is_of_user and principal.session_id is None)
