"""The ways to all endpoints, kept while any generation of the tier map uses them.

An endpoint that two generations have in common keeps its connections over the change. A way is closed when the last
generation that uses it lets go, which is after the end of that generation's last request: never while it is in use.
"""

import threading
from collections.abc import Callable

from gateway.upstream.transport import Transport
from tiers.tiermap import Timeouts

_Way = tuple[str, Timeouts]


class Ways:
    """Makes a way where there is none yet. A generation is made in a thread of its own, so a lock guards the counts."""

    def __init__(self, make: Callable[[str, Timeouts], Transport]) -> None:
        """``make`` takes an endpoint's URL and how long to wait for it."""
        self._make = make
        self._open: dict[_Way, Transport] = {}
        self._users: dict[_Way, int] = {}
        self._lock = threading.Lock()

    def lease(self) -> "Lease":
        """For one more generation."""
        return Lease(self)

    def take(self, way: _Way) -> Transport:
        """Use a way once more. Raises as its maker."""
        with self._lock:
            if way not in self._open:
                self._open[way] = self._make(*way)
                self._users[way] = 0
            self._users[way] += 1
            return self._open[way]

    def leave(self, way: _Way) -> Transport | None:
        """Use it once less; returns it where nobody uses it any more."""
        with self._lock:
            self._users[way] -= 1
            if self._users[way]:
                return None
            del self._users[way]
            return self._open.pop(way)


class Lease:
    """The ways of one generation."""

    def __init__(self, ways: Ways) -> None:
        self._ways = ways
        self._taken: dict[_Way, Transport] = {}

    def to(self, url: str, timeouts: Timeouts) -> Transport:
        """The way to ``url``. Raises as its maker: ``ValueError`` where the URL is not one that can be called."""
        way = (url, timeouts)
        if way not in self._taken:
            self._taken[way] = self._ways.take(way)
        return self._taken[way]

    def give_back(self) -> list[Transport]:
        """Let go of all of them; returns those that nobody else uses, which are to be closed if they were used."""
        taken, self._taken = self._taken, {}
        left = [self._ways.leave(way) for way in taken]
        return [transport for transport in left if transport is not None]

    async def aclose(self) -> None:
        """Let go of all of them; those that nobody else uses are closed. Calling it twice is fine."""
        for transport in self.give_back():
            await transport.aclose()
