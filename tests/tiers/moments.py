"""Moments of an endpoint's workers."""

from tiers.warmth import Sample
from tiers.worker_moment import Asked, Moment


def moment(
    now: float,
    *,
    sampled_at: float | None = None,
    warm: bool = True,
    in_flight: int = 0,
    asked: float | None = None,
    **sample: int,
) -> Moment:
    """One at ``now``, looked at just then unless ``sampled_at`` is given; ``asked`` is when a worker was, probably."""
    return Moment(
        now=now,
        sample=Sample(**sample),
        sampled_at=now if sampled_at is None else sampled_at,
        warm=warm,
        in_flight=in_flight,
        asked=None if asked is None else Asked(earliest=asked - 0.125, likely=asked),
    )
