"""Faults between the functions and AWS, as tests ask for them at `/_local/faults/{name}`."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from infra.local.calls import cut
from infra.local.meter import Asgi, Message

_BELONGING = re.compile(rb"(?:TASK|OUTBOX)#([0-9a-f]{8}-[0-9a-f-]{27})")
_AGENT = re.compile(rb"AGENT#([0-9a-f]{8}-[0-9a-f-]{27})")
Kind = Literal["dropBefore", "dropAfter", "delay", "duplicate", "throttle"]


class Rule(BaseModel):
    """`times` of the calls of `operation` that are about a text fail, after the first `skip` ones;
    with `containing`, only those that have this in their body, too.

    About it are those with the text in their body, and those that name a task or an announcement
    which was in one request with the text, unless that was a batch or of several agents: there is
    whatever came at the same time. So a test disturbs its own agent alone. A call that several ask
    about meets the fault of the first of them, which has happened to all that ask for this kind.
    """

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")
    about: str = Field(min_length=1)
    kind: Kind = "dropBefore"
    operation: str = ""
    table: str = ""
    containing: str = ""
    skip: int = Field(default=0, ge=0)
    times: int = Field(default=0, ge=0)
    seconds: float = Field(default=0, ge=0, le=30)


class Call(NamedTuple):
    """One request to AWS. `operation` is as AWS calls it, `table` is the first one it names."""

    operation: str
    table: str
    body: bytes

    @property
    def is_mixed(self) -> bool:
        return self.operation.startswith("Batch") or len(set(_AGENT.findall(self.body))) > 1

    @classmethod
    def of(cls, scope: Message, body: bytes) -> "Call":
        target = dict(scope["headers"]).get(b"x-amz-target", b"").decode()
        invoked = "Invoke" if scope["path"].endswith("/invocations") else scope["path"]
        table = re.search(rb'"(?:TableName": ?"|RequestItems": ?{")([^"]+)', body)
        return cls(target.rpartition(".")[2] or invoked, table[1].decode() if table else "", body)


class _Watch:
    """A rule, and what came of it so far."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.calls: Counter[str] = Counter()
        self.done = 0
        self._texts = {rule.about.encode()}
        self._seen = 0

    def strikes(self, call: Call) -> bool:
        if not any(text in call.body for text in self._texts):
            return False
        if self.rule.about.encode() in call.body and not call.is_mixed:
            self._texts.update(_BELONGING.findall(call.body))
        self.calls[f"{call.operation} {call.table}".strip()] += 1
        rule = self.rule
        if call.operation != rule.operation or rule.table not in call.table:
            return False
        if rule.containing.encode() not in call.body:
            return False
        self._seen += 1
        return rule.skip < self._seen and self.done < rule.times

    def report(self) -> dict[str, object]:
        return {"done": self.done, "calls": dict(self.calls)}


class Faults:
    """Nothing but a look at a dictionary, as long as no test asked for anything."""

    def __init__(self, application: Asgi) -> None:
        self._application = application
        self._watches: dict[str, _Watch] = {}

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        if not self._watches or scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        body = await read(receive)
        call = Call.of(scope, body)
        striking = [watch for watch in self._watches.values() if watch.strikes(call)]
        if not striking:
            await self._application(scope, _replaying(body), send)
            return
        fault = striking[0].rule
        for watch in striking:
            if watch.rule.kind == fault.kind:
                watch.done += 1
        await self._strike(fault, call, scope, send)

    def control(self, method: str, name: str, body: bytes) -> tuple[int, Mapping[str, object]]:
        """PUT a rule, GET what came of it, DELETE it."""
        if method == "PUT":
            self._watches[name] = _Watch(Rule.model_validate_json(body))
        found = self._watches.get(name)
        if found is None:
            return 404, {}
        if method == "DELETE":
            del self._watches[name]
        return 200, found.report()

    async def _strike(self, rule: Rule, call: Call, scope: Message, send: Any) -> None:
        match rule.kind:
            case "throttle":
                await _throttled(call, send)
            case "dropBefore":
                cut(send)
            case "dropAfter":
                await self._carry_out(scope, call.body)
                cut(send)
            case "delay":
                await asyncio.sleep(rule.seconds)
                await self._application(scope, _replaying(call.body), send)
            case "duplicate":
                answer = await self._carry_out(scope, call.body)
                await self._carry_out(scope, call.body)
                for message in answer:
                    await send(message)

    async def _carry_out(self, scope: Message, body: bytes) -> list[Message]:
        """What AWS answers, which nobody hears of yet."""
        answer: list[Message] = []

        async def keep(message: Message) -> None:
            answer.append(message)

        await self._application({**scope}, _replaying(body), keep)
        return answer


async def read(receive: Any) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body.extend(message.get("body", b""))
        if not message.get("more_body"):
            return bytes(body)


def _replaying(body: bytes) -> Any:
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return messages.pop() if messages else {"type": "http.disconnect"}

    return receive


async def _throttled(call: Call, send: Any) -> None:
    status, error = 400, "ThrottlingException"
    if call.operation == "Invoke":
        status, error = 429, "TooManyRequestsException"
    elif call.table:
        error = "ProvisionedThroughputExceededException"
    headers = [(b"content-type", b"application/x-amz-json-1.0")]
    headers.append((b"x-amzn-errortype", error.encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    body = json.dumps({"__type": error, "message": "a test asked for this"}).encode()
    await send({"type": "http.response.body", "body": body})
