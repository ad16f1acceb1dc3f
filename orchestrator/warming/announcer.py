"""Sends announcements from a thread of its own, in order, once for all runs of the process that need the same.

A run never waits for an announcement and never fails by one: what is announced would only have come later.
"""

from collections.abc import Callable, Mapping, Sequence
from queue import SimpleQueue
from threading import Lock, Thread
from time import perf_counter
from typing import Final, Protocol

from orchestrator.warming.wake_call import NotAnnounced

FRESH_SECONDS: Final = 2.0
"""A tier that was announced so long ago is not announced again, by whatever run: less than a worker idles."""
WAITING_MAX: Final = 100
"""Announcements that wait while one is sent. What comes beyond is left out."""
TIERS_MAX: Final = 64
"""Tiers in one announcement, as the gateway takes them."""
KNOWN_MAX: Final = 1000
"""Tiers whose last announcement is remembered, and messages that were said."""
CLOSE_SECONDS_MAX: Final = 1.0
"""How long the end waits for an announcement that is being sent."""


class Call(Protocol):
    """As ``orchestrator.warming.wake_call.WakeCall``."""

    def __call__(self, run: str, tiers: Sequence[str]) -> Mapping[str, str]:
        """Announce; what was refused, with the reason. Raises ``NotAnnounced``."""

    def close(self) -> None:
        """Close what it opened."""


class Announcer:
    """To be closed at the end; its thread begins with the first announcement."""

    def __init__(self, call: Call, *, say: Callable[[str], object], clock: Callable[[], float] = perf_counter) -> None:
        """``say`` is told once of each thing that goes wrong."""
        self._call = call
        self._say = say
        self._clock = clock
        self._announced_at: dict[str, float] = {}
        self._said: set[str] = set()
        self._waiting: SimpleQueue[tuple[str, Sequence[str]] | None] = SimpleQueue()
        self._guard = Lock()
        self._thread: Thread | None = None
        self._closed = False

    def announce(self, run: str, tiers: Sequence[str]) -> None:
        """Have these tiers announced, without those that just were. Returns at once; from any thread."""
        with self._guard:
            fresh_since = self._clock() - FRESH_SECONDS
            wanted = [each for each in dict.fromkeys(tiers) if self._announced_at.get(each, fresh_since) <= fresh_since]
            if not wanted or self._closed or self._waiting.qsize() >= WAITING_MAX:
                return
            self._remember(wanted[:TIERS_MAX])
            self._waiting.put((run, wanted[:TIERS_MAX]))
            if self._thread is None:
                self._thread = Thread(target=self._work, name="announcements", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Send nothing more, and wait a moment for what is being sent."""
        with self._guard:
            self._closed = True
            self._waiting.put(None)
        if self._thread is not None:
            self._thread.join(CLOSE_SECONDS_MAX)

    def _remember(self, tiers: Sequence[str]) -> None:
        if len(self._announced_at) >= KNOWN_MAX:
            self._announced_at.clear()
        self._announced_at.update(dict.fromkeys(tiers, self._clock()))

    def _work(self) -> None:
        while (waiting := self._waiting.get()) is not None and not self._closed:
            try:
                refused = self._call(*waiting)
            except NotAnnounced as error:
                self._say_once(f"tiers are not announced: {error}")
                continue
            for name, why in refused.items():
                self._say_once(f"the tier {name!r} is not announced: {why}")
        self._call.close()

    def _say_once(self, line: str) -> None:
        if line not in self._said and len(self._said) < KNOWN_MAX:
            self._said.add(line)
            self._say(line)
