"""Sessions in the auth table. No token is kept, and nothing that one could be made from."""

from chalicelib.auth.models.revocations import Revocation
from chalicelib.auth.models.sessions import Session
from chalicelib.auth.repository.revocations import revocation_row
from common.dynamo import Put, Table
from common.events.auth import AccessRevokedV1
from common.rows import Row


class SessionRepository:
    def __init__(self, table: Table) -> None:
        self._table = table

    def get(self, session_id: str) -> Session | None:
        row = self._table.get(f"SESSION#{session_id}", "METADATA")
        return _session(row) if row else None

    def add(self, session: Session) -> None:
        self._table.write(Put(_row(session)))

    def replace(self, before: Session, after: Session) -> None:
        """Raises Conflict unless the session is stored as `before`."""
        self._table.write(Put(_row(after), version=before.version))

    def end(self, session: Session, revocation: Revocation | None, event: AccessRevokedV1) -> None:
        """Raises Conflict unless the session is stored as it was read. Without a revocation if
        none of its access tokens can be valid any more: the list of them should stay short."""
        ended = Put(_row(session.ended()), version=session.version)
        published = [revocation_row(revocation)] if revocation else []
        self._table.write(ended, *published, events=[event])


def _row(session: Session) -> Row:
    key = {"PK": f"SESSION#{session.session_id}", "SK": "METADATA", "TTL": session.expires_at}
    return key | session.model_dump(by_alias=True)


def _session(row: Row) -> Session:
    fields = {name: value for name, value in row.items() if name not in ("PK", "SK", "TTL")}
    return Session.model_validate(fields)
