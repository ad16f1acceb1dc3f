"""How many scouts are out, over all processes of one store, so that a cold endpoint is woken once and not by everybody.

Each process says in the store how many of its own are out. That holds for a while and is said again as long as some
are; a process that was killed is forgotten. Where the store cannot be reached a process counts its own alone: rather a
worker too many than a call that waits for nothing.
"""

import asyncio
import secrets
from typing import Final

from gateway.errors import StoreUnavailable
from gateway.store.resp import words
from gateway.store.script import Commands, Script

LIFE_SECONDS: Final = 60.0
"""How long what a process said holds …"""
RENEWAL_SECONDS: Final = 15.0
"""… and how often it is said again."""
BACK_SECONDS: Final = 3.0
"""How long a scout that is back still counts: until the other processes have heard what it found."""
_ARGUMENTS: Final = 8


class Wakes:
    """Fulfils ``gateway.upstream.gate.Wakes``; its owner runs ``run`` beside requests."""

    def __init__(
        self,
        commands: Commands,
        *,
        prefix: str = "tiergate",
        life_seconds: float = LIFE_SECONDS,
        back_seconds: float = BACK_SECONDS,
    ) -> None:
        self._commands = commands
        self._life = max(1, round(life_seconds * 1000))
        self._back = round(back_seconds * 1000)
        self._script = Script.of(
            "gateway.upstream", "scouts", key=f"{{{prefix}}}:scouts".encode(), keeps="which workers are being woken"
        )
        self._process = secrets.token_hex(6)
        self._out: dict[str, int] = {}
        """By endpoint; 0 stands there until the store knows it."""
        self._telling = asyncio.Lock()  # what is said is the whole of it, so it has to be said in order

    async def claim(self, base: str, wanted: int, outstanding_max: int) -> int:
        """How many of ``wanted`` scouts may go to ``base``, so that no more than ``outstanding_max`` are out."""
        async with self._telling:
            try:
                granted = await self._tell(base, wanted, outstanding_max)
            except StoreUnavailable:
                granted = max(0, min(wanted, outstanding_max - self._out.get(base, 0)))
            self._out[base] = self._out.get(base, 0) + granted
            if not self._out[base]:
                del self._out[base]
            return granted

    async def release(self, base: str, count: int) -> None:
        """So many are back."""
        self._out[base] = max(0, self._out.get(base, 0) - count)
        async with self._telling:
            await self._say(base, back=count)

    async def run(self, every_seconds: float = RENEWAL_SECONDS) -> None:
        """Say again what is so, as long as it is; until cancelled."""
        while True:
            await asyncio.sleep(every_seconds)
            await self.renew()

    async def renew(self) -> None:
        """Say it again now."""
        for base in list(self._out):
            async with self._telling:
                await self._say(base)

    async def _say(self, base: str, *, back: int = 0) -> None:
        try:
            await self._tell(base, 0, 0, back=back)
        except StoreUnavailable:
            return  # what holds there ends by itself, and is said again
        if not self._out.get(base, 1):
            del self._out[base]

    async def _tell(self, base: str, wanted: int, outstanding_max: int, *, back: int = 0) -> int:
        out = self._out.get(base, 0)
        arguments = words(base, self._process, out, wanted, outstanding_max, self._life, back, self._back)
        granted: int = await self._script.run(self._commands, _ARGUMENTS, arguments)
        return granted
