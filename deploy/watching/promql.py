"""Pieces of PromQL that several rules and panels are made of."""

from typing import Final

PERCENTILES: Final = (70, 90, 98)
"""Those that Runpod's own dashboard shows of delay time, execution time and cold start time."""


def buckets(histogram: str, by: str, over: str, matcher: str = "") -> str:
    """The histogram's observations per second in each bucket, over that time, by those labels."""
    return f"sum by ({by}, le) (rate({histogram}_bucket{chosen(matcher)}[{over}]))"


def chosen(matcher: str) -> str:
    """The braces that choose series by their labels; nothing where all are meant."""
    return f"{{{matcher}}}" if matcher else ""


def percentile(percent: int, in_buckets: str) -> str:
    """The value that so many percent of the observations do not exceed; ``in_buckets`` is an expression with ``le``."""
    return f"histogram_quantile({percent / 100:g}, {in_buckets})"


def ratio(part: str, whole: str) -> str:
    """A part of a whole; nothing where the whole is 0."""
    return f"{part} / ({whole} > 0)"


def counted(series: str, by: str, over: str) -> str:
    """How much counters grew in that time, by those labels."""
    return f"sum by ({by}) (increase({series}[{over}]))"
