"""Amounts, durations and sizes as operators write them → integers and seconds.

Everything is read exactly (``Decimal``), and what cannot be kept exactly is refused instead of rounded. Each
function raises ``tiers.problems.Refused`` with what to write instead.
"""

import re
from decimal import Decimal

from tiers.price import MICRODOLLARS_PER_DOLLAR
from tiers.problems import Refused, quoted
from tiers.tiermap import Comparison

AMOUNT_MAX = 10**15
"""The largest limit of a budget, in its unit (a billion dollars): the store counts exactly up to 2**53."""
DURATION_SECONDS_MAX = 400 * 86_400

_NUMBER = r"([0-9]{1,15}(?:\.[0-9]{1,6})?)"
DURATION_PATTERN = rf"^{_NUMBER} ?(ms|s|m|h|d|mo)$"
AMOUNT_PATTERN = rf"^{_NUMBER}([kM]?) (USD|tokens?|requests?)$"
COMPARISON_PATTERN = r"^(<=?|>=?) ?([0-9]{1,9})$"
PARAMETERS_PATTERN = r"^(?:([0-9]{1,3})[xX])?([0-9]{1,5}(?:\.[0-9]{1,3})?)([MBmb])$"

_SECONDS = {
    "ms": Decimal("0.001"),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
    "d": Decimal(86_400),
    "mo": Decimal(30 * 86_400),
}
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


def window_seconds(text: str) -> int:
    """A budget's window: as ``seconds``, and a whole number of them."""
    length = positive_seconds(text)
    if length != int(length):
        raise Refused(f"{quoted(text)} is no whole number of seconds", "write a window such as 1h or 1d")
    return int(length)


def amount(text: str) -> tuple[str, int]:
    """A budget's limit → its unit and how many: ``50 USD`` is ``("USD", 50_000_000)``, in microdollars.

    ``2M tokens``, ``500k tokens`` and ``100 requests`` are whole numbers of those.
    """
    found = re.fullmatch(AMOUNT_PATTERN, text)
    if not found:
        raise Refused(f"{quoted(text)} is no amount", "write it as 50 USD, 2M tokens, 500k tokens or 100 requests")
    number = Decimal(found[1]) * _MULTIPLES[found[2]]
    if found[3] == "USD":
        unit, limit, least = "USD", number * MICRODOLLARS_PER_DOLLAR, "0.000001 USD"
    else:
        unit = found[3].removesuffix("s") + "s"
        limit, least = number, f"1 {unit}"
    if limit != int(limit) or limit == 0:
        raise Refused(f"{quoted(text)} is no multiple of {least}", f"write a multiple of {least}, at least one")
    if limit > AMOUNT_MAX:
        raise Refused(f"{quoted(text)} is more than a budget can count", "leave the budget out if it bounds nothing")
    return unit, int(limit)


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
