"""What happened reaches whoever subscribed to it."""

from collections import defaultdict

from chalicelib.graphql.models.sockets import Operation, Update
from chalicelib.graphql.use_cases.messages import Desk
from common.sockets import MAX_POSTED_BYTES, Frame, encoded


def push(desk: Desk, update: Update) -> None:
    """To be called after the commit: who subscribes later finds the update in the table."""
    operations = desk.model.updates.operations(update.agent_id)
    if not operations:
        return
    agent = desk.model.agents.find(update.agent_id)
    owner = agent.user_id if agent else None
    heard = [
        each
        for each in operations
        if each.is_live and each.concerns(update) and each.principal.user_id == owner
    ]
    if heard:
        lost = desk.sockets.post_each(_frames(desk, heard, update))
        for connection_id in lost:
            desk.end(connection_id)
    for connection_id in {each.connection_id for each in operations if not each.is_live}:
        desk.end(connection_id)


def complete_all(desk: Desk, agent_id: str) -> None:
    """Nothing happens any more to an agent that was deleted."""
    operations = desk.model.updates.operations(agent_id)
    frames: list[tuple[str, Frame]] = [
        (each.connection_id, {"id": each.id, "type": "complete"}) for each in operations
    ]
    desk.sockets.post_each(frames)
    for each in operations:
        desk.model.updates.remove(each.connection_id, each.id, agent_id)


def _frames(desk: Desk, heard: list[Operation], update: Update) -> list[tuple[str, Frame]]:
    """The same operation of the same caller is executed once, however many sockets it has."""
    same: defaultdict[tuple[str, object], list[Operation]] = defaultdict(list)
    for each in heard:
        same[each.request.model_dump_json(), each.principal].append(each)
    language, frames = desk.language(), []
    for operations in same.values():
        payload = language.answer_to(operations[0], update)
        if len(encoded(payload)) > MAX_POSTED_BYTES - 1024:
            payload = {"data": None, "extensions": payload["extensions"]}
            payload["errors"] = [{"message": "The answer is too large: ask for fewer fields"}]
        frames += [(each.connection_id, _next(each, payload)) for each in operations]
    return frames


def _next(operation: Operation, payload: Frame) -> Frame:
    return {"id": operation.id, "type": "next", "payload": payload}
