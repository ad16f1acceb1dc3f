"""Brings runs to workers that share a Redis. Whoever has room takes the next name.

A name is acknowledged when its run is at its rest: at its end, waiting for a person, or another worker's. Until then
it is renewed. A worker that dies renews nothing, and the name is given to another; one that ends hands its names back.
"""

import asyncio
from collections.abc import Callable, Container
from contextlib import ExitStack, aclosing, suppress
from typing import Final

from orchestrator.errors import StoreUnavailable
from orchestrator.host.dispatch import Work
from orchestrator.host.run_stream import Receipt, RunStream

RENEW_SECONDS: Final = 2.0
"""How often a worker renews the names whose runs are under way."""
UPKEEP_SECONDS: Final = 5.0
"""How often a worker looks for names of dead workers, and forgets those workers."""
RETRY_SECONDS: Final = 1.0
"""Between two tries to get names from a store that does not answer."""
SAY_SECONDS: Final = 10.0
"""How often it is said that the store does not answer."""
HAND_BACK_SECONDS_MAX: Final = 5.0
HELD_MAX: Final = 10_000
"""Names that a worker hands back when it ends."""


class StreamDispatch:
    """Fulfils ``Dispatch``, for several workers. It works on the event loop on which it serves."""

    def __init__(
        self,
        stream: RunStream,
        *,
        say: Callable[[str], object],
        renew_seconds: float = RENEW_SECONDS,
        upkeep_seconds: float = UPKEEP_SECONDS,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        """Dispatch through ``stream``, which is closed when serving ends; ``say`` gets the log's lines."""
        self._stream = stream
        self._say = say
        self._renew_seconds = renew_seconds
        self._upkeep_seconds = upkeep_seconds
        self._retry_seconds = retry_seconds
        self._held: dict[str, list[Receipt]] = {}
        self._working: set[asyncio.Task[None]] = set()
        self._draining = asyncio.Event()
        self._says_at = 0.0

    async def enqueue(self, name: str) -> None:
        """As every dispatch's."""
        await self._stream.add(name)

    async def waiting(self) -> Container[str]:
        """As every dispatch's."""
        return await self._stream.waiting()

    def drain(self) -> None:
        """As every dispatch's. One name that this worker waits for already may still come, and is passed on."""
        self._draining.set()

    async def serve(self, work: Work, *, at_once: int) -> None:
        """As every dispatch's. A store that is away is said now and then, and asked again until it is back."""
        loop = asyncio.get_running_loop()
        places = asyncio.Semaphore(at_once)
        taking = loop.create_task(self._keep_taking(work, places))
        upkeep = loop.create_task(self._keep_up(at_once))
        try:
            await asyncio.gather(taking, upkeep)
        finally:
            self.drain()
            await _ended(taking, upkeep)
            await _ended(*self._working)
            await self._hand_back()
            await self._stream.close()

    async def _hand_back(self) -> None:
        """Where the store does not answer, its names are given to others when nobody has renewed them for long."""
        with suppress(StoreUnavailable, TimeoutError):
            async with asyncio.timeout(HAND_BACK_SECONDS_MAX):
                await self._stream.hand_back(HELD_MAX)

    async def _keep_taking(self, work: Work, places: asyncio.Semaphore) -> None:
        clock = asyncio.get_running_loop().time
        while not self._draining.is_set():
            try:
                async with self._stream.answering():
                    await self._take(work, places)
            except StoreUnavailable as error:
                if clock() >= self._says_at:
                    self._says_at = clock() + SAY_SECONDS
                    self._say(f"dispatch: {error}")
            await asyncio.sleep(self._retry_seconds)

    async def _take(self, work: Work, places: asyncio.Semaphore) -> None:
        """Get names, each when there is a place for it."""
        await self._stream.open()
        async with aclosing(self._stream.names()) as names:
            while not self._draining.is_set():
                with ExitStack() as place:
                    await places.acquire()
                    place.callback(places.release)
                    if self._draining.is_set():
                        return
                    name, receipt = await anext(names)
                    if self._draining.is_set():
                        await self._stream.add(name)
                        await receipt()
                    elif not name:
                        await receipt()
                    elif name in self._held:
                        # Somebody asks for more of a run that is about to rest here, or it was told of twice.
                        self._held[name].append(receipt)
                    else:
                        self._held[name] = [receipt]
                        self._begin(work, name, place.pop_all())

    def _begin(self, work: Work, name: str, place: ExitStack) -> None:
        def end(task: asyncio.Task[None]) -> None:
            self._working.discard(task)
            place.close()

        task = asyncio.get_running_loop().create_task(self._work(work, name), name=f"run {name}")
        self._working.add(task)
        task.add_done_callback(end)

    async def _work(self, work: Work, name: str) -> None:
        """Take the run up, once more where it was told of meanwhile."""
        receipts, seen = self._held[name], 0
        try:
            while seen < len(receipts):
                seen = len(receipts)
                await work(name)
        except StoreUnavailable:
            return  # nobody knows how it stands: some worker is given the name again, later
        finally:
            del self._held[name]
        with suppress(StoreUnavailable):
            async with self._stream.answering():
                for receipt in receipts:
                    await receipt()

    async def _keep_up(self, at_once: int) -> None:
        clock = asyncio.get_running_loop().time
        looks_at = clock()
        while True:
            await asyncio.sleep(self._renew_seconds)
            with suppress(StoreUnavailable):
                await self._stream.renew([receipt for receipts in self._held.values() for receipt in receipts])
                if clock() >= looks_at:
                    looks_at = clock() + self._upkeep_seconds
                    await self._look(0 if self._draining.is_set() else at_once - len(self._working))

    async def _look(self, room: int) -> None:
        """Have the engine look for as many names of dead workers as there is room for here."""
        await self._stream.forget_workers()
        if room:
            for _ in range(await self._stream.abandoned(room)):
                await self._stream.add("")


async def _ended(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
