"""A clock that tests move."""


class ManualClock:
    """Unix seconds that only a test moves."""

    def __init__(self, unix: float = 1_800_000_000.0) -> None:
        self.now = unix

    def unix(self) -> float:
        """As ``orchestrator.clock.unix``."""
        return self.now
