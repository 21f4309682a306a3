"""Reads of single objects, gathered: what one turn of the event loop asks for is one read."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class Loader(Generic[T]):
    """For one request; what was read once is not read again in it."""

    def __init__(self, read: Callable[[Sequence[str]], Mapping[str, T]]) -> None:
        self._read = read
        self._futures: dict[str, asyncio.Future[T | None]] = {}
        self._waiting: list[str] = []

    async def load(self, id: str) -> T | None:
        if id not in self._futures:
            loop = asyncio.get_running_loop()
            self._futures[id] = loop.create_future()
            if not self._waiting:
                loop.call_soon(self._read_waiting)
            self._waiting.append(id)
        return await self._futures[id]

    def know(self, id: str, found: T) -> None:
        """What was read otherwise need not be read by its id."""
        if id not in self._waiting:
            self._futures[id] = asyncio.get_running_loop().create_future()
            self._futures[id].set_result(found)

    def _read_waiting(self) -> None:
        ids, self._waiting = self._waiting, []
        try:
            found = self._read(ids)
        except Exception as error:  # whoever waits gets it, and there it is handled
            for id in ids:
                self._futures[id].set_exception(error)
            return
        for id in ids:
            self._futures[id].set_result(found.get(id))
