from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiers import quantities
from tiers.problems import Refused
from tiers.tiermap import Comparison


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("500ms", 0.5),
        ("30s", 30),
        ("10m", 600),
        ("1h", 3600),
        ("1.5h", 5400),
        ("1d", 86_400),
        ("1mo", 2_592_000),
        ("30 s", 30),
        ("0s", 0),
    ],
)
def test_durations_are_seconds(text: str, expected: float) -> None:
    assert quantities.seconds(text) == expected


@pytest.mark.parametrize("text", ["30", "s", "-1s", "1w", "1h30m", "٣s", "30s\n", "500d", "1e3s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        quantities.seconds(text)


def test_a_timeout_of_nothing_and_a_window_of_half_a_second_are_refused() -> None:
    with pytest.raises(Refused, match="longer than nothing"):
        quantities.positive_seconds("0s")
    with pytest.raises(Refused, match="whole number of seconds"):
        quantities.window_seconds("1500ms")
    assert quantities.window_seconds("1h") == 3600


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("50 USD", ("USD", 50_000_000)),
        ("0.1 USD", ("USD", 100_000)),
        ("0.000001 USD", ("USD", 1)),
        ("1.5k USD", ("USD", 1_500_000_000)),
        ("2M tokens", ("tokens", 2_000_000)),
        ("500k tokens", ("tokens", 500_000)),
        ("0.0005k tokens", None),
        ("100 requests", ("requests", 100)),
        ("1 request", ("requests", 1)),
        ("1 token", ("tokens", 1)),
        ("1.5 requests", None),
        ("0 USD", None),
        ("$50", None),
        ("50USD", None),
        ("50 EUR", None),
        ("1,000 requests", None),
        ("-1 USD", None),
        ("2000000000 USD", None),
    ],
)
def test_amounts_are_exact_or_refused(text: str, expected: tuple[str, int] | None) -> None:
    if expected is None:
        with pytest.raises(Refused):
            quantities.amount(text)
    else:
        assert quantities.amount(text) == expected


@given(st.integers(min_value=1, max_value=10**12))
def test_every_number_of_microdollars_can_be_written(microdollars: int) -> None:
    assert quantities.amount(f"{Decimal(microdollars) / 10**6:f} USD") == ("USD", microdollars)


def test_prices_are_microdollars_per_million_tokens() -> None:
    assert quantities.price(Decimal("0.15")) == 150_000
    assert quantities.price(Decimal(0)) == 0
    for wrong in ("-1", "0.0000001", "1e15"):
        with pytest.raises(Refused):
            quantities.price(Decimal(wrong))


def test_comparisons_are_read() -> None:
    assert quantities.comparison(">12000") == Comparison(operator=">", value=12000)
    assert quantities.comparison("<= 5") == Comparison(operator="<=", value=5)
    for wrong in ("12000", "=5", "> -1", ">5.5", "!=3"):
        with pytest.raises(Refused):
            quantities.comparison(wrong)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("8B", 8 * 10**9), ("1.5b", 15 * 10**8), ("135M", 135 * 10**6), ("8x7B", 56 * 10**9)],
)
def test_model_sizes_are_read(text: str, expected: int) -> None:
    assert quantities.parameters(text) == expected


@pytest.mark.parametrize("text", ["8", "B", "8T", "0B", "large"])
def test_what_is_no_model_size_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        quantities.parameters(text)


@pytest.mark.parametrize(
    "read",
    [
        quantities.seconds,
        quantities.positive_seconds,
        quantities.window_seconds,
        quantities.amount,
        quantities.comparison,
        quantities.parameters,
    ],
)
@given(text=st.text(max_size=20) | st.from_regex(r"[0-9.]{1,20} ?(ms|mo|d|USD|tokens|B)"))
def test_any_text_is_read_or_refused(read: Callable[[str], object], text: str) -> None:
    with suppress(Refused):
        read(text)
