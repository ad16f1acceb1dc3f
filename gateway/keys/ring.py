"""One process's copy of the virtual keys, which requests ask; it follows the store's within about half a second.

A key that is not in the copy may have been made a moment ago elsewhere, so the store is asked. Those who ask at the
same time share one question, and each question waits a little for more: a flood of keys that nobody has is none for the
store.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from gateway.errors import StoreUnavailable
from gateway.exchange import Caller, Clock
from gateway.keys.cabinet import Kept
from gateway.keys.secret import kept
from gateway.keys.virtual import caller_of

POLL_SECONDS: Final = 0.5
SPACING_SECONDS: Final = 0.02
STALE_SECONDS_MAX: Final = 300.0
"""How long keys that are known go on to work while the store cannot be asked."""
_FAMILIAR_MAX: Final = 10_000


class Reads(Protocol):
    """Where the keys are kept: ``gateway.keys.cabinet.Cabinet``."""

    async def read(self, known: str | None = None) -> Kept | None:
        """See ``Cabinet.read``."""


class KeyRing:
    """Knows each virtual key's caller."""

    def __init__(
        self,
        cabinet: Reads,
        *,
        pepper: bytes,
        clock: Clock,
        report: Callable[..., None],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._cabinet = cabinet
        self._pepper = pepper
        self._clock = clock
        self._report = report
        self._sleep = sleep
        self._kept: Kept | None = None
        # What is kept of a secret → its caller, and until when (Unix seconds) the secret is taken.
        self._callers: dict[str, tuple[Caller, float | None]] = {}
        # SHA-256 → the same, for secrets that were sent: the HMAC is worked out once.
        self._familiar: dict[bytes, tuple[Caller, float | None]] = {}
        self._seen_at = clock.monotonic()
        self._asking: asyncio.Future[None] | None = None
        self._next: asyncio.Future[None] | None = None

    def find(self, digest: bytes) -> Caller | None:
        """The caller whose key has this SHA-256, as far as this process knows.

        Raises:
            StoreUnavailable: It is known, but the store could not be asked for ``STALE_SECONDS_MAX``.
        """
        found = self._familiar.get(digest)
        if found is None:
            found = self._callers.get(kept(self._pepper, digest))
            if found is None:
                return None
            if len(self._familiar) >= _FAMILIAR_MAX:
                self._familiar.clear()
            self._familiar[digest] = found
        caller, until = found
        if until is not None and self._clock.unix() >= until:
            return None
        if self._clock.monotonic() - self._seen_at > STALE_SECONDS_MAX:
            raise StoreUnavailable("The store that keeps keys has been away for too long.", retry_after_seconds=5.0)
        return caller

    async def look_up(self, digest: bytes) -> Caller | None:
        """The same, after the store was asked. Raises ``StoreUnavailable``."""
        await self.refresh()
        return self.find(digest)

    async def refresh(self) -> None:
        """Know what the store keeps at some moment after this call. Raises ``StoreUnavailable``."""
        if self._next is None:
            if self._asking is None:
                self._asking = _heard(asyncio.ensure_future(self._ask(0.0)))
                await asyncio.shield(self._asking)
                return
            # The question that is under way may have been answered before this call: the next one counts.
            self._next = _heard(asyncio.ensure_future(self._ask_after(self._asking)))
        await asyncio.shield(self._next)

    async def run(self) -> None:
        """Follow the store; runs until cancelled."""
        away = False
        while True:
            try:
                await self.refresh()
                away = False
            except StoreUnavailable as error:
                if not away and self._kept is not None:
                    self._report("keys.stale", message=error.message)
                away = True
            await self._sleep(POLL_SECONDS)

    async def _ask_after(self, before: asyncio.Future[None]) -> None:
        await asyncio.wait([before])
        self._asking, self._next = self._next, None
        await self._ask(SPACING_SECONDS)

    async def _ask(self, wait: float) -> None:
        try:
            if wait:
                await self._sleep(wait)
            found = await self._cabinet.read(None if self._kept is None else self._kept.head)
            self._seen_at = self._clock.monotonic()
            if found is not None:
                self._take(found)
        finally:
            self._asking = None

    def _take(self, found: Kept) -> None:
        if not found.ours:
            self._report("keys.other_pepper", remedy="give every gateway of this store the same --key-pepper")
        callers: dict[str, tuple[Caller, float | None]] = {}
        for key in found.keys.values():
            if key.revoked_unix is not None:
                continue
            caller = caller_of(key, found.keys)
            callers[key.digest] = (caller, None)
            if key.previous:
                callers[key.previous] = (caller, key.previous_until_unix)
        self._kept, self._callers = found, callers
        self._familiar = {}


def _heard(question: asyncio.Future[None]) -> asyncio.Future[None]:
    """The same; what goes wrong is no surprise where all who asked have left."""
    question.add_done_callback(lambda done: done.cancelled() or done.exception())
    return question
