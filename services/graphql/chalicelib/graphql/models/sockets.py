"""What clients say over `graphql-transport-ws`, and what is kept of it."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from chalicelib.graphql.models.requests import GraphQLRequest
from common import strict_json
from common.clock import epoch_in
from common.errors import AppError, Invalid
from common.models import Model
from common.principals import Principal
from pydantic import ConfigDict, Field, ValidationError

PROTOCOL = "graphql-transport-ws"
MAX_MESSAGE_BYTES = 32 * 1024
OperationId = Field(min_length=1, max_length=128)


class Message(Model):
    """Members that the protocol does not know are ignored."""

    model_config = ConfigDict(extra="ignore")


class ConnectionInit(Message):
    type: Literal["connection_init"]
    payload: dict[str, Any] | None = None


class Ping(Message):
    type: Literal["ping"]
    payload: dict[str, Any] | None = None


class Pong(Message):
    type: Literal["pong"]
    payload: dict[str, Any] | None = None


class Subscribe(Message):
    type: Literal["subscribe"]
    id: str = OperationId
    payload: GraphQLRequest


class Complete(Message):
    type: Literal["complete"]
    id: str = OperationId


_MESSAGES: Mapping[str, type[Message]] = {
    "connection_init": ConnectionInit,
    "ping": Ping,
    "pong": Pong,
    "subscribe": Subscribe,
    "complete": Complete,
}


class Closed(AppError):
    """The protocol's reason to end a connection. API Gateway cannot send a code of ours: it is the
    payload of a last ping."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.close_code = code


def parse_message(body: str) -> Message:
    """Raises Closed for what is no message of the protocol."""
    if len(body.encode("utf-8", "surrogatepass")) > MAX_MESSAGE_BYTES:
        raise Closed(4400, f"The message is larger than {MAX_MESSAGE_BYTES} bytes")
    try:
        told = strict_json.parse(body)
        kind = _MESSAGES[told["type"]]
        return kind.from_client(body)
    except (Invalid, ValidationError, LookupError, TypeError) as error:
        raise Closed(4400, "Invalid message received") from error


class Asked(NamedTuple):
    """The one field of a subscription, the permission it takes and its arguments."""

    field: str
    scope: str
    arguments: Mapping[str, Any]


class Connection(Model):
    """Without a principal until `connection_init` was acknowledged."""

    connection_id: str
    principal: Principal | None = None
    acknowledged: bool = False
    connected_at: str


class Operation(Model):
    """A subscription as it is kept: the text of it, and what it is about."""

    connection_id: str
    id: str
    principal: Principal
    agent_id: str
    task_id: str | None = None
    field: str
    request: GraphQLRequest
    is_live: bool = True

    def concerns(self, update: "Update") -> bool:
        return self.field == update.field and self.task_id in (None, update.task_id)


class Stream(NamedTuple):
    """The number of an agent's latest update, and until when there may be subscriptions to it. The
    version is another one after every update and every subscription."""

    latest: int = 0
    watched_until: int = 0
    version: int = 0

    @property
    def is_watched(self) -> bool:
        return self.watched_until > epoch_in(0)

    @property
    def next(self) -> "Stream":
        return self._replace(latest=self.latest + 1, version=self.version + 1)


class Update(Model):
    """What happened to an agent or one of its tasks, as subscriptions see it. `seq` counts without
    a hole what happened to the agent and its tasks."""

    agent_id: str
    task_id: str | None = None
    field: str
    value: dict[str, Any]
    event_id: str
    seq: int = 0
