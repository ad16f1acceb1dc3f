"""Amounts and durations as people read them, for messages and tables."""

from tiers.price import MICRODOLLARS_PER_DOLLAR

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def amount_text(amount: int, unit: str) -> str:
    """``amount`` in ``unit``: ``1.5 USD`` for 1 500 000 microdollars, ``2,000 tokens``, ``1 request``."""
    if unit == "USD":
        return f"{amount / MICRODOLLARS_PER_DOLLAR:.6f}".rstrip("0").rstrip(".") + " USD"
    return f"{amount:,} {unit.removesuffix('s') if amount == 1 else unit}"


def duration_text(seconds: int) -> str:
    """``seconds`` in its two largest units: ``5 h 3 min``, ``1 d``, ``0 s``."""
    parts = []
    for size, name in _UNITS:
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts[:2]) or "0 s"
