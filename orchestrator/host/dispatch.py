"""Who takes which run up.

Whoever asks for a run hands its name to a dispatch; a worker that has room gets it from there. The store's lease stays
the authority: a name that comes twice, or to two workers, is no harm.
"""

import asyncio
from collections.abc import Awaitable, Callable, Container
from contextlib import suppress
from typing import Protocol

from orchestrator.errors import StoreUnavailable

Work = Callable[[str], Awaitable[None]]
"""Takes the run of that name up and to its end; returns at once where it is not to be taken.

Raises ``StoreUnavailable`` where the store did not say how the run stands.
"""


class Dispatch(Protocol):
    """Brings names of queued runs to workers."""

    async def enqueue(self, name: str) -> None:
        """Have some worker take the run up. Raises ``StoreUnavailable`` where it cannot be told to any."""

    async def serve(self, work: Work, *, at_once: int) -> None:
        """Take runs up, so many at once, until cancelled: then what is under way is cancelled and waited for."""

    async def waiting(self) -> Container[str]:
        """The names that no worker was given yet. Raises ``StoreUnavailable``."""

    def drain(self) -> None:
        """Take up nothing more that another worker can; what is under way goes on."""


class LocalDispatch:
    """Within one process: what is asked for here is taken up here, in the order in which it was asked for."""

    def __init__(self) -> None:
        self._waiting: dict[str, None] = {}
        self._came = asyncio.Event()
        self._room = asyncio.Event()
        self._working: dict[str, asyncio.Task[None]] = {}

    @property
    def length(self) -> int:
        """How many names no place was free for yet."""
        return len(self._waiting)

    async def waiting(self) -> Container[str]:
        """As every dispatch's."""
        return frozenset(self._waiting)

    def drain(self) -> None:
        """As every dispatch's: there is no other worker."""

    async def enqueue(self, name: str) -> None:
        """Have it taken up as soon as there is room; nothing where it waits already."""
        self._waiting[name] = None
        self._came.set()

    async def serve(self, work: Work, *, at_once: int) -> None:
        """As every dispatch's."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                await self._came.wait()
                while self._waiting and len(self._working) < at_once:
                    name = next(iter(self._waiting))
                    del self._waiting[name]
                    if name not in self._working:
                        self._working[name] = loop.create_task(self._work(work, name), name=f"run {name}")
                if self._waiting:
                    self._room.clear()
                    await self._room.wait()
                else:
                    self._came.clear()
        finally:
            for task in self._working.values():
                task.cancel()
            await asyncio.gather(*self._working.values(), return_exceptions=True)

    async def _work(self, work: Work, name: str) -> None:
        try:
            with suppress(StoreUnavailable):  # the sweep hands it on again
                await work(name)
        finally:
            del self._working[name]
            self._room.set()
