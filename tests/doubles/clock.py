"""A clock that only a test moves."""


class ManualClock:
    """Fulfils ``gateway.exchange.Clock``; both of its times go forward together."""

    def __init__(self, *, monotonic: float = 1000.0, unix: float = 1_800_000_000.0) -> None:
        self._monotonic = monotonic
        self._unix = unix

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""
        return self._monotonic

    def unix(self) -> float:
        """Seconds since 1970 in UTC."""
        return self._unix

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._monotonic += seconds
        self._unix += seconds
