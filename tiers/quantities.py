"""Amounts, durations and sizes as operators write them → integers and seconds.

Everything is read exactly (``Decimal``), and what cannot be kept exactly is refused instead of rounded. Each
function raises ``tiers.problems.Refused`` with what to write instead.
"""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tiers.price import MICRODOLLARS_PER_DOLLAR
from tiers.problems import Refused, quoted
from tiers.tiermap import Comparison
from tiers.windows import CalendarUnit, Window

AMOUNT_MAX = 10**15
"""The largest limit of a budget, in its unit (a billion dollars): the store counts exactly up to 2**53."""
DURATION_SECONDS_MAX = 400 * 86_400
WINDOW_SECONDS_MAX = 31 * 86_400
"""A budget's window is a month at most."""
MICROSECONDS_PER_SECOND = 1_000_000
PERCENT_MAX = 1000
"""The largest part of a budget that an alert can be for: one that only reports may be spent many times over."""

_NUMBER = r"([0-9]{1,15}(?:\.[0-9]{1,6})?)"
DURATION_PATTERN = rf"^{_NUMBER} ?(ms|s|m|h|d|mo)$"
WINDOW_PATTERN = rf"^{_NUMBER} ?(ms|s|m|h|d|w|mo)$"
AMOUNT_PATTERN = rf"^{_NUMBER}([kM]?) (USD|tokens?|requests?|GPU (?:second|minute|hour)s?)$"
MONEY_PATTERN = rf"^{_NUMBER}([kM]?) USD$"
PERCENT_PATTERN = r"^([0-9]{1,4}) ?%$"
EXPIRY_PATTERN = (
    r"^([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[Tt ]([0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?)([Zz]|[+-][0-9]{2}:[0-9]{2}))?$"
)
COMPARISON_PATTERN = r"^(<=?|>=?) ?([0-9]{1,9})$"
PARAMETERS_PATTERN = r"^(?:([0-9]{1,3})[xX])?([0-9]{1,5}(?:\.[0-9]{1,3})?)([MBmb])$"

_SECONDS = {
    "ms": Decimal("0.001"),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
    "d": Decimal(86_400),
    "w": Decimal(7 * 86_400),
    "mo": Decimal(30 * 86_400),
}
_CALENDAR: dict[str, CalendarUnit] = {"h": "hour", "d": "day", "w": "week", "mo": "month"}
_GPU_SECONDS = {"second": 1, "minute": 60, "hour": 3600}
_MULTIPLES = {"": 1, "k": 1_000, "M": 1_000_000, "B": 1_000_000_000}


def seconds(text: str) -> float:
    """``30s``, ``10m``, ``1h``, ``1d``, ``1mo`` (30 days), ``500ms`` → seconds."""
    found = re.fullmatch(DURATION_PATTERN, text)
    if not found:
        raise Refused(f"{quoted(text)} is no duration", "write a number and ms, s, m, h, d or mo, such as 30s")
    length = Decimal(found[1]) * _SECONDS[found[2]]
    if length > DURATION_SECONDS_MAX:
        raise Refused(f"{quoted(text)} is too long", f"use at most {DURATION_SECONDS_MAX // 86_400}d")
    return float(length)


def positive_seconds(text: str) -> float:
    """As ``seconds``; zero is refused."""
    length = seconds(text)
    if length == 0:
        raise Refused("must be longer than nothing", "write a duration such as 30s")
    return length


def window(text: str) -> Window:
    """A budget's window: ``1h``, ``1d``, ``1w`` and ``1mo`` are an hour, a day, a week and a month of UTC's calendar;
    any other whole number of seconds, up to 31 days, is a window that begins at multiples of its length since 1970.
    """
    found = re.fullmatch(WINDOW_PATTERN, text)
    if not found:
        raise Refused(f"{quoted(text)} is no window", "write 1h, 1d, 1w, 1mo or another duration, such as 6h")
    length = Decimal(found[1]) * _SECONDS[found[2]]
    if length != int(length) or length == 0:
        raise Refused(f"{quoted(text)} is no whole number of seconds", "write a window such as 1h or 1d")
    if length > WINDOW_SECONDS_MAX:
        raise Refused(f"{quoted(text)} is longer than a month", "use at most 1mo")
    unit = _CALENDAR.get(found[2]) if Decimal(found[1]) == 1 else None
    return Window(kind="aligned" if unit is None else "calendar", seconds=int(length), unit=unit)


def amount(text: str) -> tuple[str, int]:
    """A budget's limit → its unit and how many: ``50 USD`` is ``("USD", 50_000_000)``, in microdollars, and
    ``3000 GPU seconds`` is ``("GPU seconds", 3_000_000_000)``, in microseconds, as are minutes and hours.

    ``2M tokens``, ``500k tokens`` and ``100 requests`` are whole numbers of those.
    """
    found = re.fullmatch(AMOUNT_PATTERN, text)
    if not found:
        raise Refused(
            f"{quoted(text)} is no amount",
            "write it as 50 USD, 3000 GPU seconds, 2M tokens, 500k tokens or 100 requests",
        )
    number = Decimal(found[1]) * _MULTIPLES[found[2]]
    word = found[3].removesuffix("s")
    if word == "USD":
        unit, limit, least = "USD", number * MICRODOLLARS_PER_DOLLAR, "0.000001 USD"
    elif word.startswith("GPU "):
        seconds_each = _GPU_SECONDS[word.removeprefix("GPU ")]
        unit, limit, least = "GPU seconds", number * seconds_each * MICROSECONDS_PER_SECOND, "0.000001 GPU seconds"
    else:
        unit, limit, least = f"{word}s", number, f"1 {word}s"
    if limit != int(limit) or limit == 0:
        raise Refused(f"{quoted(text)} is no multiple of {least}", f"write a multiple of {least}, at least one")
    if limit > AMOUNT_MAX:
        raise Refused(f"{quoted(text)} is more than a budget can count", "leave the budget out if it bounds nothing")
    return unit, int(limit)


def microdollars(text: str) -> int:
    """An amount of money: ``0.50 USD`` → microdollars."""
    unit, number = amount(text)
    if unit != "USD":
        raise Refused(f"{quoted(text)} is no amount of money", "write it in US dollars, such as 0.50 USD")
    return number


def percent(text: str) -> int:
    """A part of a budget: ``80%`` → 80."""
    found = re.fullmatch(PERCENT_PATTERN, text)
    if not found or not 1 <= int(found[1]) <= PERCENT_MAX:
        raise Refused(f"{quoted(text)} is no part of a budget", f"write a whole percentage up to {PERCENT_MAX}%: 80%")
    return int(found[1])


def expiry(text: str) -> float:
    """When a key ends → Unix seconds: a moment of RFC 3339, or a date, at whose end in UTC it is."""
    remedy = "write a date, 2027-01-31, or a moment of RFC 3339, 2027-01-31T12:00:00Z"
    found = re.fullmatch(EXPIRY_PATTERN, text)
    if not found:
        raise Refused(f"{quoted(text)} is no date", remedy)
    day, time, zone = found.groups()
    try:
        if time is not None:
            return datetime.fromisoformat(f"{day}T{time}{zone.upper()}").timestamp()
        return (datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(days=1)).timestamp()
    except (ValueError, OverflowError):
        raise Refused(f"{quoted(text)} is in no calendar", remedy) from None


def price(dollars: Decimal) -> int:
    """US dollars per million tokens → microdollars per million tokens."""
    microdollars = dollars * MICRODOLLARS_PER_DOLLAR
    if not 0 <= microdollars <= AMOUNT_MAX or microdollars != int(microdollars):
        raise Refused(f"{dollars} is no price", "write US dollars per million tokens, at most six decimals: 0.15")
    return int(microdollars)


def comparison(text: str) -> Comparison:
    """A bound on a number of tokens: ``>12000``, ``<= 500``."""
    found = re.fullmatch(COMPARISON_PATTERN, text)
    if not found:
        raise Refused(f"{quoted(text)} is no comparison", 'write <, <=, > or >= and a whole number, such as ">12000"')
    return Comparison(operator=found[1], value=int(found[2]))


def parameters(text: str) -> int:
    """A model's size: ``8B``, ``1.5B``, ``135M``, ``8x7B`` → its number of parameters."""
    found = re.fullmatch(PARAMETERS_PATTERN, text)
    size = int(found[1] or 1) * Decimal(found[2]) * _MULTIPLES[found[3].upper()] if found else Decimal(0)
    if not size:
        raise Refused(f"{quoted(text)} is no model size", "write it as 8B, 1.5B, 135M or 8x7B")
    return int(size)
