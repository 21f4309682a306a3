"""Answers that wait for each other: they show that calls were open at the same time."""

import asyncio
from typing import NamedTuple


class Meeting(NamedTuple):
    name: str
    parties: int


class Meetings:
    def __init__(self) -> None:
        self._barriers: dict[str, asyncio.Barrier] = {}

    async def attend(self, meeting: Meeting, patience: float) -> bool:
        """True as soon as all parties are there; False if one of them does not come."""
        made = asyncio.Barrier(meeting.parties)
        barrier = self._barriers.setdefault(meeting.name, made)
        try:
            async with asyncio.timeout(patience):
                await barrier.wait()
        except TimeoutError:
            return False
        return True
