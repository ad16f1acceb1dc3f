"""Amounts and durations as people read them."""

import pytest

from tiers.wording import amount_text, duration_text, reset_text


@pytest.mark.parametrize(
    ("amount", "unit", "text"),
    [
        (1_500_000, "USD", "1.5 USD"),
        (1, "USD", "0.000001 USD"),
        (0, "USD", "0 USD"),
        (10_000_000, "USD", "10 USD"),
        (2_000, "tokens", "2,000 tokens"),
        (1, "requests", "1 request"),
        (0, "requests", "0 requests"),
        (1_500_000, "GPU seconds", "1.5 GPU seconds"),
        (3_600_000_000, "GPU seconds", "3,600 GPU seconds"),
    ],
)
def test_amounts_lose_no_digit_and_carry_their_unit(amount: int, unit: str, text: str) -> None:
    assert amount_text(amount, unit) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59, "59 s"), (3_600, "1 h"), (18_180, "5 h 3 min"), (90_061, "1 d 1 h"), (3_601, "1 h 1 s")],
)
def test_durations_show_their_two_largest_units(seconds: int, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "1s"), (59.0, "59s"), (60.0, "1m0s"), (360.0, "6m0s"), (3_661.0, "1h1m1s")]
)
def test_a_reset_is_told_in_openais_form(seconds: float, text: str) -> None:
    assert reset_text(seconds) == text
