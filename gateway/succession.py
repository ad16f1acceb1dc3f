"""One generation after the other: which serves now, and which have requests that still go on.

A new generation is *prepared* beside the one that serves, in a thread of its own, and takes over by one assignment.
Requests that have begun stay with the old one; when the last of them has ended, its ways to endpoints are closed.
"""

import asyncio
from collections.abc import Callable, Mapping

from gateway.authenticate import check_time
from gateway.checked_map import CheckedMap
from gateway.descriptors import Report
from gateway.exchange import Caller
from gateway.generation import Generation
from gateway.served import Rejection, ServedMap
from gateway.serving import Serving

LOOK_SECONDS = 0.1
"""How often it is looked whether an old generation still has requests."""


class Succession:
    """The generations of one process.

    Attributes:
        current: The one that serves.
        living: All that have requests, or may get some; the current one stands last.
        rejected: Why the file's tier map is not served, where it is not the one in service.
    """

    def __init__(
        self,
        first: Generation,
        serving: Serving,
        *,
        make: Callable[[CheckedMap, ServedMap, Generation], Generation],
        announce: Callable[[Generation, Rejection | None], None],
        report: Report,
    ) -> None:
        """``announce`` is told what is served, and what of the file is not."""
        self.current = first
        self.living = [first]
        self.rejected: Rejection | None = None
        self._serving = serving
        self._make = make
        self._announce = announce
        self._report = report
        self._prepared: Generation | None = None
        self._swapped: asyncio.Queue[Generation] = asyncio.Queue()
        announce(first, None)

    async def authenticate(self, authorization: bytes | None, api_key: bytes | None) -> Caller:
        """Whose key it is now, which must not have expired; see ``Authenticator``."""
        generation = self.current
        caller = await generation.authenticate(authorization, api_key)
        check_time(caller, generation.clock.unix())
        return caller

    def names(self, caller: Caller) -> Mapping[str, str]:
        """What the caller may send as ``model`` now; see ``Router.names``."""
        return self.current.route.names(caller)

    def contexts(self, tier: str, caller: Caller) -> tuple[int, int] | None:
        """How much fits into a request now; see ``Router.contexts``."""
        return self.current.route.contexts(tier, caller)

    async def prepare(self, checked: CheckedMap, served: ServedMap) -> None:
        """Make a generation ready beside the one that serves; replaces one that is ready already.

        Raises:
            MapRejected: It cannot be made.
        """
        made = await asyncio.to_thread(self._make, checked, served, self.current)
        self.forget()
        self._prepared = made

    def forget(self) -> None:
        """What was prepared is not wanted."""
        if self._prepared is not None:
            self._prepared.ways.give_back()
            self._prepared = None

    def swap(self) -> None:
        """What was prepared serves from now on: every request that begins after this."""
        made, self._prepared = self._prepared, None
        if made is None:
            return
        before, self.current = self.current, made
        self.living.append(made)
        self._serving.pipeline = made.pipeline
        self._swapped.put_nowait(before)
        self.rejected = None
        self._announce(made, None)

    async def take_over(self, checked: CheckedMap, served: ServedMap) -> None:
        """Prepare, and swap; see ``gateway.reload.Server``."""
        await self.prepare(checked, served)
        self.swap()

    async def reject(self, rejection: Rejection | None) -> None:
        """See ``gateway.reload.Server``."""
        self.note(rejection)

    def note(self, rejection: Rejection | None) -> None:
        """What is known of the file from now on: it holds no tier map to serve, or, ``None``, the one in service."""
        self.rejected = rejection
        self._announce(self.current, rejection)

    async def run(self) -> None:
        """Watch over the current fleet, and close what old generations leave behind; runs until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                watch = group.create_task(self.current.fleet.run())
                old = await self._swapped.get()
                watch.cancel()
                group.create_task(self._retire(old))

    async def aclose(self) -> None:
        """At the end, when no request is under way any more."""
        self.forget()
        for generation in self.living:
            await generation.ways.aclose()

    async def _retire(self, old: Generation) -> None:
        # Nothing is added to the way of each request for what happens seldom: so this looks now and then.
        while old.pipeline.in_flight:  # noqa: ASYNC110 - see above
            await asyncio.sleep(LOOK_SECONDS)
        self.living.remove(old)
        await old.ways.aclose()
        self._report("tier_map.retired", generation=old.served.generation, hash=old.served.hash)
