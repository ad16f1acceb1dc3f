"""LiteLLM's price list, as it comes with the package."""

import math
from collections.abc import Mapping
from typing import Any, Final

from gateway.upstream.litellm_package import INSTALL, LiteLlmMissing, load_package
from tiers.price import MICRODOLLARS_PER_DOLLAR, TOKENS_PER_PRICE_UNIT, TokenPrice
from tiers.problems import Refused, quoted

_WRITE: Final = "write it: `price: {input: 0.15, output: 0.60}`, US dollars per million tokens"
_NOISE: Final = 1e-6
"""Of a microdollar: what floating point may add to a price that is a whole number of them."""


def listed_price(model: str) -> TokenPrice:
    """What the list says of ``model``, rounded up to microdollars per million tokens.

    Raises:
        Refused: It says nothing of it, or LiteLLM is not installed.
    """
    try:
        package = load_package()
    except LiteLlmMissing as missing:
        raise Refused("the price is LiteLLM's, and LiteLLM is not installed", f"{INSTALL}, or {_WRITE}") from missing
    try:
        known: Mapping[str, Any] = package.get_model_info(model)
    except Exception as error:
        raise Refused(f"LiteLLM's list has no price of the model {quoted(model)}", _WRITE) from error
    # What the package says of a model is 0 where the list has no such price: only the list's own entry tells.
    entry = package.model_cost.get(known["key"], {})
    given, made = _highest(entry, "input"), _highest(entry, "output")
    if given is None or (made is None and known.get("mode") != "embedding"):
        raise Refused(f"LiteLLM's list has no price per token of the model {quoted(model)}", _WRITE)
    return TokenPrice(input_microdollars=given, output_microdollars=made or 0)


def _highest(entry: Mapping[str, Any], direction: str) -> int | None:
    """The price per million tokens, of the longest prompts where it depends on their length."""
    name = f"{direction}_cost_per_token"
    if not isinstance(entry.get(name), (int, float)):
        return None
    prices = [price for key, price in entry.items() if key == name or key.startswith(f"{name}_above_")]
    return max(_microdollars(price) for price in prices if isinstance(price, (int, float)))


def _microdollars(dollars_per_token: float) -> int:
    """Per million tokens, rounded up."""
    return math.ceil(dollars_per_token * MICRODOLLARS_PER_DOLLAR * TOKENS_PER_PRICE_UNIT - _NOISE)
