"""What is known of an endpoint's workers at one moment, and how many of them are billed."""

from dataclasses import dataclass

from tiers.warmth import Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Since when somebody has asked for a worker: not before ``earliest``, and probably at ``likely``."""

    earliest: float
    likely: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Seconds of Runpod's clock.

    Attributes:
        now: When it is.
        sample: What health said last.
        sampled_at: When that was.
        warm: Whether a worker works, as far as is known.
        in_flight: The requests of all processes, with those that are held while none works.
        asked: Since when there are some; ``None`` where there are none.
    """

    now: float
    sample: Sample
    sampled_at: float
    warm: bool
    in_flight: int
    asked: Asked | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Billed workers: those that can work, whether they do or not, and those that load."""

    awake: int = 0
    starting: int = 0

    @property
    def billed(self) -> int:
        """All of them."""
        return self.awake + self.starting
