"""Takes over a new tier map: reads it, checks it, has it served, or keeps the last good one and says why.

One at a time, whoever asks: the watch of the file, SIGHUP, or the holder of the admin key.
"""

import asyncio
from pathlib import Path
from typing import Literal, Protocol

from gateway.checked_map import CheckedMap, MapRejected, read_and_check
from gateway.descriptors import Report, allow_descriptors
from gateway.exchange import Clock
from gateway.file_watch import LOOK_SECONDS, FileWatch
from gateway.served import Outcome, Rejection, ServedMap

Cause = Literal["start", "file", "signal", "api"]


class Server(Protocol):
    """Who serves tier maps: this process, or all processes of the gateway."""

    async def take_over(self, checked: CheckedMap, served: ServedMap) -> None:
        """Serve it from now on. Raises ``MapRejected`` where that cannot be; then nothing has changed."""

    async def reject(self, rejection: Rejection | None) -> None:
        """Let it be known that the file's tier map cannot be served; ``None``: the one in service is the file's."""


class Reloader:
    """Reads the tier map's files again whenever it is asked to."""

    def __init__(
        self, files: tuple[Path, Path], first: CheckedMap, served: ServedMap, *, store: str | None, server: Server,
        clock: Clock, report: Report,
    ) -> None:  # fmt: skip
        """``files`` are the tier map's, and that of the addresses of its deployed endpoints; ``first`` is in service as
        ``served``; ``store`` is the setting that goes before the tier map's.
        """
        self._file, self._fleet_state = files
        self._current = first
        self._served = served
        self._store = store
        self._server = server
        self._clock = clock
        self._report = report
        self._rejection: Rejection | None = None
        self._lock = asyncio.Lock()
        self._asked = asyncio.Event()

    async def reload(self, cause: Cause) -> Outcome:
        """Read the file again, and serve what is in it if it can be served."""
        async with self._lock:
            try:
                checked = await asyncio.to_thread(read_and_check, self._file, self._fleet_state)
                self._refuse_what_needs_a_restart(checked)
                if checked.text == self._current.text and checked.known == self._current.known:
                    return await self._unchanged()
                await self._take_over(checked, cause)
            except MapRejected as rejected:
                return await self._rejected(rejected, cause)
            return self._outcome("loaded")

    def ask(self) -> None:
        """A signal came: ``follow`` reloads."""
        self._asked.set()

    async def follow(self, watch: FileWatch) -> None:
        """Reload whenever ``watch`` sees a change, and when asked; runs until cancelled."""
        while True:
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._asked.wait()
            except TimeoutError:
                if watch.look():
                    await self.reload("file")
            else:
                self._asked.clear()
                await self.reload("signal")

    def _refuse_what_needs_a_restart(self, checked: CheckedMap) -> None:
        if self._store is None and checked.tier_map.store != self._current.tier_map.store:
            raise MapRejected(
                (f"{self._file}: store: it has changed, which takes a restart; until then write the one in use",),
                hash=checked.hash,
            )

    async def _take_over(self, checked: CheckedMap, cause: Cause) -> None:
        served = ServedMap(generation=self._served.generation + 1, hash=checked.hash, loaded_unix=self._clock.unix())
        await self._server.take_over(checked, served)
        self._current, self._served, self._rejection = checked, served, None
        allow_descriptors(checked.tier_map, self._report)
        self._report(
            "tier_map.loaded",
            generation=served.generation,
            hash=served.hash,
            cause=cause,
            tiers=list(checked.tier_map.tiers),
        )

    async def _unchanged(self) -> Outcome:
        if self._rejection is not None:
            self._rejection = None
            await self._server.reject(None)
        return self._outcome("unchanged")

    async def _rejected(self, rejected: MapRejected, cause: Cause) -> Outcome:
        """Those that were rejected one after the other count as one time of trouble."""
        since = self._clock.unix() if self._rejection is None else self._rejection.since_unix
        self._rejection = Rejection(hash=rejected.hash, since_unix=since, problems=rejected.problems)
        self._report(
            "tier_map.rejected",
            hash=rejected.hash,
            cause=cause,
            problems=rejected.problems,
            generation=self._served.generation,
        )
        await self._server.reject(self._rejection)
        return self._outcome("rejected", rejected.problems)

    def _outcome(self, result: Literal["loaded", "unchanged", "rejected"], problems: tuple[str, ...] = ()) -> Outcome:
        return Outcome(result=result, generation=self._served.generation, hash=self._served.hash, problems=problems)
