"""Splits an endpoint's busy worker seconds among the requests in flight.

While n requests run on w workers, min(w, n) of these are busy, and each request pays for min(w, n)/n of every second.
Virtual time makes that cheap: it advances by that share per second, so what a request owes is the virtual time between
its start and its end, whatever came and went meanwhile. Each event costs the same, however many requests are in
flight, and no second is charged twice or to nobody: the shares of all requests together are the busy seconds.

A meter counts its own process's requests. Of those in others, and of workers, it is told (``tell``): what is told
late is wrong for so long, by at most all workers for each process.
"""

from typing import Final

WORKERS_UNTOLD: Final = 1.0
"""Nobody who counts workers is there: as many as a request alone can keep busy."""


class Meter:
    """One endpoint's split. Times are seconds of one clock; one that goes back counts as standing still.

    Attributes:
        attributed: Worker seconds that requests of this process owe so far, of those in flight too.
    """

    __slots__ = ("_elsewhere", "_in_flight", "_now", "_share", "_virtual", "_workers", "attributed")

    def __init__(self) -> None:
        self._in_flight = 0
        self._elsewhere = 0
        self._workers = WORKERS_UNTOLD
        self._share = 0.0
        self._now = 0.0
        self._virtual = 0.0
        self.attributed = 0.0

    @property
    def in_flight(self) -> int:
        """Requests that have started here and not finished."""
        return self._in_flight

    def start(self, now: float) -> float:
        """Count one more request in flight. Returns the token that ``finish`` wants."""
        if not self._in_flight:
            # Nobody holds a token of the time before: starting at zero again keeps the sums exact for ever.
            self._virtual = 0.0
            self._now = now
        self.advance(now)
        self._in_flight += 1
        self._divide()
        return self._virtual

    def finish(self, token: float, now: float) -> float:
        """Count one request less; called once per ``start``. Returns its share in seconds.

        Raises:
            ValueError: No request is in flight.
        """
        if not self._in_flight:
            raise ValueError("no request is in flight")
        self.advance(now)
        self._in_flight -= 1
        self._divide()
        return self._virtual - token

    def give_back(self, seconds: float) -> None:
        """So much of a request's share is not owed after all: its worker did not work for it so long."""
        self.attributed -= seconds

    def tell(self, now: float, *, workers: float, elsewhere: int) -> None:
        """From ``now`` on so many workers work, and so many requests are in flight from elsewhere.

        ``workers`` is 0 while none can work yet: what is waited for then is nobody's share.
        """
        self.advance(now)
        self._workers = workers
        self._elsewhere = elsewhere
        self._divide()

    def advance(self, now: float) -> None:
        """Count up to ``now``."""
        if self._in_flight and now > self._now:
            share = (now - self._now) * self._share
            self._virtual += share
            self.attributed += share * self._in_flight
            self._now = now

    def _divide(self) -> None:
        requests = self._in_flight + self._elsewhere
        self._share = 1.0 if requests <= self._workers else self._workers / requests
