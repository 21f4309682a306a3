"""The endpoints by which tests script the simulator and ask what it saw."""

from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route

from .exchange import dumps
from .request_log import RequestLog
from .script import Director, LatencySetting, Script

_Model = TypeVar("_Model", bound=BaseModel)


class Control:
    def __init__(self, director: Director, log: RequestLog) -> None:
        self._director = director
        self._log = log

    def routes(self) -> list[Route]:
        script = "/_control/scripts/{model:path}"
        return [
            Route("/health", self.health),
            Route(script, self.put_script, methods=["PUT"]),
            Route(script, self.delete_script, methods=["DELETE"]),
            Route("/_control/latency", self.put_latency, methods=["PUT"]),
            Route("/_control/requests", self.requests),
            Route("/_control/requests", self.delete_requests, methods=["DELETE"]),
            Route("/_control/stats", self.stats),
        ]

    async def health(self, request: HttpRequest) -> Response:
        return _json({"status": "ok"})

    async def put_script(self, request: HttpRequest) -> Response:
        script = await _parsed(request, Script)
        if isinstance(script, Response):
            return script
        self._director.put(request.path_params["model"], script)
        return Response(status_code=204)

    async def delete_script(self, request: HttpRequest) -> Response:
        self._director.drop(request.path_params["model"])
        return Response(status_code=204)

    async def put_latency(self, request: HttpRequest) -> Response:
        setting = await _parsed(request, LatencySetting)
        if isinstance(setting, Response):
            return setting
        self._director.set_latency(setting)
        return Response(status_code=204)

    async def requests(self, request: HttpRequest) -> Response:
        after = request.query_params.get("after", "0")
        if not after.isdecimal():
            return _json({"error": "after: not an index"}, 400)
        return _json({"requests": self._log.after(int(after), request.query_params.get("model"))})

    async def delete_requests(self, request: HttpRequest) -> Response:
        self._log.clear()
        return Response(status_code=204)

    async def stats(self, request: HttpRequest) -> Response:
        return _json(self._log.stats(request.query_params.get("model")))


def faults(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, fault['loc'])) or 'body'}: {fault['msg']}" for fault in error.errors()
    )


async def _parsed(request: HttpRequest, model: type[_Model]) -> _Model | Response:
    try:
        return model.model_validate_json(await request.body())
    except ValidationError as error:
        return _json({"error": faults(error)}, 400)


def _json(value: object, status: int = 200) -> Response:
    return Response(dumps(value), status, media_type="application/json")
