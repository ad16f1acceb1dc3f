"""Splits an endpoint's busy seconds among the requests in flight.

While n requests run on a GPU, each pays for one nth of every second. Virtual time makes that cheap: it
advances by 1/n per second while n requests run, so a request's share is the virtual time between its start
and its end, whatever came and went meanwhile. Each event costs the same, however many requests are in flight,
and no second is charged twice or to nobody: the shares of all requests together are the seconds in which at
least one ran.
"""


class Meter:
    """One endpoint's split. Times are seconds of one clock; one that goes back counts as standing still."""

    __slots__ = ("_in_flight", "_now", "_virtual")

    def __init__(self) -> None:
        self._in_flight = 0
        self._now = 0.0
        self._virtual = 0.0

    @property
    def in_flight(self) -> int:
        """Requests that have started and not finished."""
        return self._in_flight

    def start(self, now: float) -> float:
        """Count one more request in flight. Returns the token that ``finish`` wants."""
        if not self._in_flight:
            # Nobody holds a token of the time before: starting at zero again keeps the sums exact for ever.
            self._virtual = 0.0
            self._now = now
        self._advance(now)
        self._in_flight += 1
        return self._virtual

    def finish(self, token: float, now: float) -> float:
        """Count one request less; called once per ``start``. Returns its share in seconds.

        Raises:
            ValueError: No request is in flight.
        """
        if not self._in_flight:
            raise ValueError("no request is in flight")
        self._advance(now)
        self._in_flight -= 1
        return self._virtual - token

    def _advance(self, now: float) -> None:
        if self._in_flight and now > self._now:
            self._virtual += (now - self._now) / self._in_flight
            self._now = now
