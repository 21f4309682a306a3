"""What an agent's watchers see, and what they say on their sockets."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, NamedTuple, Self

from common import strict_json
from common.errors import Invalid, NotFound, TooLarge
from common.events.agents import AgentCreatedV1, AgentDeletedV1, AgentStatusChangedV1
from common.events.base import Event
from common.models import Id, Model
from common.principals import Principal
from common.queries import DIGITS
from common.sockets import MAX_POSTED_BYTES, Frame, encoded
from pydantic import ConfigDict, Field, ValidationError

MAX_MESSAGE_BYTES = 32 * 1024
"""What API Gateway takes in one frame."""


class LiveStatus(Model):
    """What an agent is doing, as its owner sees it; `seq` is the number of its latest update."""

    agent_id: str
    status: str
    seq: int
    updated_at: str


class AgentState(Model):
    """What is known of an agent; `seq` is the number of its latest update."""

    agent_id: str
    user_id: str
    status: str = "idle"
    status_version: int = 0
    seq: int = 0
    updated_at: str
    deleted: bool = False

    @property
    def shown(self) -> LiveStatus:
        return LiveStatus(
            agent_id=self.agent_id, status=self.status, seq=self.seq, updated_at=self.updated_at
        )

    def after(self, event: Event, now: str) -> Self:
        """Every event counts as an update; a status older than the known changes nothing."""
        changes: dict[str, object] = {"seq": self.seq + 1, "updated_at": now}
        match event:
            case AgentCreatedV1():
                changes |= {"user_id": event.user_id}
            case AgentDeletedV1():
                changes |= {"deleted": True}
            case AgentStatusChangedV1() if event.aggregate_version > self.status_version:
                changes |= {"status": event.new_status, "status_version": event.aggregate_version}
        return self.model_copy(update=changes)


class Update(Model):
    """One event as its agent's watchers get it."""

    agent_id: str
    seq: int
    event_id: str
    event: str
    task_id: str | None = Field(default=None, exclude_if=lambda value: value is None)
    data: dict[str, Any]
    timestamp: str
    traceparent: str | None = Field(default=None, exclude_if=lambda value: value is None)

    @classmethod
    def of(cls, event: Event, agent_id: str, seq: int) -> Self:
        data = event.model_dump(mode="json", by_alias=True, exclude=set(Event.model_fields))
        return cls(
            agent_id=agent_id,
            seq=seq,
            event_id=event.event_id,
            event=event.detail_type(),
            task_id=data.get("taskId"),
            data=data,
            timestamp=event.timestamp,
            traceparent=event.traceparent,
        )

    def frame(self) -> Frame:
        """Data that is too large to be posted is left out: the client fetches the update."""
        whole: Frame = {"type": "update"} | self.wire()
        if len(encoded(whole)) <= MAX_POSTED_BYTES:
            return whole
        return {name: value for name, value in whole.items() if name != "data"} | {
            "truncated": True
        }


class UpdatesQuery(Model):
    after: Annotated[int, Field(ge=0, lt=10**12), DIGITS] = Field(
        default=0, description="The `seq` of the last update that the client knows"
    )
    limit: Annotated[int, Field(ge=1, le=100), DIGITS] = 100


class Updates(Model):
    """Updates in order, and the number of the latest there is. With a gap if those right before
    them are not there any more."""

    items: list[Update]
    seq: int
    gap: bool


class Connection(Model):
    connection_id: str
    principal: Principal
    connected_at: str


class Subscription(NamedTuple):
    """Not live any more: the credential that its connection was opened with has expired."""

    connection_id: str
    user_id: str
    is_live: bool


class Watched(NamedTuple):
    """What is known of an agent, and who watches it. The version is another one after every update
    and every subscription, 0 if nothing is stored."""

    state: AgentState
    subscriptions: Sequence[Subscription] = ()
    version: int = 0

    @property
    def audience(self) -> list[str]:
        """The connections of those who watch now and whose agent it is."""
        mine = (each for each in self.subscriptions if each.user_id == self.state.user_id)
        return [each.connection_id for each in mine if each.is_live]

    @property
    def over(self) -> list[str]:
        """The connections whose credential has expired."""
        return [each.connection_id for each in self.subscriptions if not each.is_live]


class News(NamedTuple):
    """What one event is to one agent: its next update, and the state with it."""

    before: Watched
    state: AgentState
    update: Update

    @classmethod
    def of(cls, event: Event, before: Watched, now: str) -> Self:
        state = before.state.after(event, now)
        return cls(before, state, Update.of(event, state.agent_id, state.seq))


class Action(Model):
    """The part that says which message it is."""

    model_config = ConfigDict(extra="ignore")

    action: Literal["subscribe", "unsubscribe", "ping"]


class Subscribe(Model):
    """With `after`, the updates that came after that `seq` are sent again."""

    action: Literal["subscribe"]
    agent_id: Id
    after: int | None = Field(default=None, ge=0, lt=10**12)


class Unsubscribe(Model):
    action: Literal["unsubscribe"]
    agent_id: Id


class Ping(Model):
    action: Literal["ping"]


Message = Subscribe | Unsubscribe | Ping


class SocketAction(NamedTuple):
    """One line of the socket's permission matrix. Without a scope, whoever is connected may."""

    message: type[Message]
    scope: str | None = None


ACTIONS = {
    "subscribe": SocketAction(Subscribe, "agents:read"),
    "unsubscribe": SocketAction(Unsubscribe),
    "ping": SocketAction(Ping),
}


def parse_message(body: str) -> Message:
    """What a client sent, or Invalid with one entry per wrong field, or TooLarge."""
    if len(body.encode("utf-8", "surrogatepass")) > MAX_MESSAGE_BYTES:
        raise TooLarge(f"The message is larger than {MAX_MESSAGE_BYTES} bytes")
    strict_json.parse(body)
    try:
        kind = ACTIONS[Action.from_client(body).action].message
        return kind.from_client(body)
    except ValidationError as error:
        raise Invalid.from_validation(error) from error


class AgentNotFound(NotFound):
    def __init__(self, agent_id: str) -> None:
        super().__init__(f"Agent {agent_id} does not exist", agentId=agent_id)
