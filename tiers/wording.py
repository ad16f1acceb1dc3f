"""Amounts and durations as people read them, for messages and tables."""

import math

from tiers.price import MICRODOLLARS_PER_DOLLAR

GPU_SECONDS = "GPU seconds"
MICROSECONDS = 1_000_000
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def amount_text(amount: int, unit: str) -> str:
    """``amount`` in ``unit``: ``1.5 USD`` for 1 500 000 microdollars, ``2,000 tokens``, ``1 request``;
    ``1.5 GPU seconds`` for 1 500 000 microseconds.
    """
    if unit == "USD":
        return f"{amount / MICRODOLLARS_PER_DOLLAR:.6f}".rstrip("0").rstrip(".") + " USD"
    if unit == GPU_SECONDS:
        return f"{amount / MICROSECONDS:,.6f}".rstrip("0").rstrip(".") + " GPU seconds"
    return f"{amount:,} {unit.removesuffix('s') if amount == 1 else unit}"


def duration_text(seconds: int) -> str:
    """``seconds`` in its two largest units: ``5 h 3 min``, ``1 d``, ``0 s``."""
    parts = []
    for size, name in _UNITS:
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts[:2]) or "0 s"


def reset_text(seconds: float) -> str:
    """``seconds``, rounded up, as OpenAI's ``x-ratelimit-reset-*`` headers tell them: ``1s``, ``6m0s``, ``1h0m0s``."""
    minutes, rest = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
