"""What clients narrow their questions down with."""

from common.models import Id
from common.queries import Paging, Reading


class MessagesQuery(Paging):
    session_id: Id | None = None


class ContextQuery(Reading):
    session_id: Id | None = None
