from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiers import quantities
from tiers.problems import Refused
from tiers.tiermap import Comparison
from tiers.windows import Window


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


def test_a_timeout_of_nothing_is_refused() -> None:
    with pytest.raises(Refused, match="longer than nothing"):
        quantities.positive_seconds("0s")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1h", Window(kind="calendar", seconds=3600, unit="hour")),
        ("1d", Window(kind="calendar", seconds=86_400, unit="day")),
        ("1w", Window(kind="calendar", seconds=604_800, unit="week")),
        ("1mo", Window(kind="calendar", seconds=2_592_000, unit="month")),
        ("1.0 h", Window(kind="calendar", seconds=3600, unit="hour")),
        ("6h", Window(seconds=21_600)),
        ("60m", Window(seconds=3600)),
        ("24h", Window(seconds=86_400)),
        ("90m", Window(seconds=5400)),
        ("30s", Window(seconds=30)),
        ("2000ms", Window(seconds=2)),
        ("31d", Window(seconds=2_678_400)),
    ],
)
def test_one_of_a_calendars_units_is_a_window_of_the_calendar_and_any_other_is_aligned(
    text: str, expected: Window
) -> None:
    assert quantities.window(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1500ms", "whole number of seconds"),
        ("0s", "whole number of seconds"),
        ("2mo", "longer than a month"),
        ("32d", "longer than a month"),
        ("1y", "no window"),
        ("daily", "no window"),
    ],
)
def test_other_windows_are_refused(text: str, message: str) -> None:
    with pytest.raises(Refused, match=message):
        quantities.window(text)


@pytest.mark.parametrize(("text", "expected"), [("0.50 USD", 500_000), ("1k USD", 1_000_000_000)])
def test_money_is_microdollars(text: str, expected: int) -> None:
    assert quantities.microdollars(text) == expected


@pytest.mark.parametrize("text", ["5", "5 tokens", "5 GPU seconds", "0 USD"])
def test_what_is_no_money_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        quantities.microdollars(text)


@pytest.mark.parametrize(("text", "expected"), [("80%", 80), ("1 %", 1), ("1000%", 1000), ("007%", 7)])
def test_parts_are_whole_percentages(text: str, expected: int) -> None:
    assert quantities.percent(text) == expected


@pytest.mark.parametrize("text", ["0%", "80", "0.8", "1001%", "12.5%", "-1%", "٣%"])
def test_what_is_no_part_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="is no part"):
        quantities.percent(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2027-01-31", datetime(2027, 2, 1, tzinfo=UTC)),
        ("2028-02-29", datetime(2028, 3, 1, tzinfo=UTC)),
        ("2027-01-31T12:00:00Z", datetime(2027, 1, 31, 12, tzinfo=UTC)),
        ("2027-01-31t12:00:00.5z", datetime(2027, 1, 31, 12, 0, 0, 500_000, tzinfo=UTC)),
        ("2027-01-31 12:00:00+02:00", datetime(2027, 1, 31, 10, tzinfo=UTC)),
    ],
)
def test_a_key_ends_at_a_moment_or_with_a_date(text: str, expected: datetime) -> None:
    """A date is over at 24:00 UTC."""
    assert quantities.expiry(text) == expected.timestamp()


@pytest.mark.parametrize(
    "text",
    ["tomorrow", "2027-1-31", "2027-02-29", "2027-01-31T12:00:00", "2027-01-31T25:00:00Z", "9999-12-31", "0000-01-01"],
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(Refused, match=r"write a date, 2027-01-31"):
        quantities.expiry(text)


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
        ("3000 GPU seconds", ("GPU seconds", 3_000_000_000)),
        ("1 GPU second", ("GPU seconds", 1_000_000)),
        ("0.5 GPU hours", ("GPU seconds", 1_800_000_000)),
        ("2k GPU minutes", ("GPU seconds", 120_000_000_000)),
        ("0 GPU seconds", None),
        ("0.0000001 GPU seconds", None),
        ("5 GPU days", None),
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
        quantities.window,
        quantities.amount,
        quantities.microdollars,
        quantities.percent,
        quantities.expiry,
        quantities.comparison,
        quantities.parameters,
    ],
)
@given(
    text=st.text(max_size=20)
    | st.from_regex(r"[0-9.]{1,20} ?(ms|mo|d|w|%|USD|tokens|GPU hours|B)")
    | st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}[+-][0-9]{2}:[0-9]{2})?")
)
def test_any_text_is_read_or_refused(read: Callable[[str], object], text: str) -> None:
    with suppress(Refused):
        read(text)
