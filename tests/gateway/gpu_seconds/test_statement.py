import json

import pytest

from gateway.gpu_seconds.statement import COLUMNS, NO_TIER, printed, statement
from tests.gateway.samples import tier_map, token_tier
from tests.tiers.samples import tier
from tiers.bill import Books, Line
from tiers.price import GpuPrice
from tiers.tiermap import Endpoint

URL = "https://api.runpod.ai/v2/abc"
DAY = "2026-06-01"
MAP = tier_map(
    tier("reasoning", price=GpuPrice(microdollars_per_second=310), endpoints=(Endpoint(name="reasoning/0", url=URL),)),
    token_tier("elsewhere"),
)
LINE = Line(
    day=DAY, tier="reasoning", endpoint="abc", attributed=60_000, starting=25_000, idle=10_000, billed=100_000,
    billed_microdollars=31_000,
)  # fmt: skip


def test_books_and_bill_of_one_endpoint_meet() -> None:
    """A hundred seconds at 310 microdollars."""
    books = {(DAY, URL): Books(attributed={"reasoning": 60_000}, starting=25_000, awake=70_000)}
    assert statement(MAP, books, {(DAY, "abc"): 31_000}) == [LINE]


def test_what_is_billed_and_in_no_tier_map_is_shown() -> None:
    """In money; its seconds are worth an unknown price."""
    [line] = statement(MAP, {}, {(DAY, "other"): 5_000_000})
    assert (line.tier, line.endpoint, line.billed, line.billed_microdollars) == (NO_TIER, "other", 0, 5_000_000)


def test_a_day_without_books_is_all_drift() -> None:
    [line] = statement(MAP, {}, {(DAY, "abc"): 31_000})
    assert (line.tier, line.unexplained, line.drift) == ("reasoning", 100_000, 1.0)


def test_days_come_in_order() -> None:
    lines = statement(MAP, {("2026-06-02", URL): Books(awake=1)}, {(DAY, "abc"): 310})
    assert [line.day for line in lines] == [DAY, "2026-06-02"]


@pytest.mark.parametrize("form", ["csv", "table"])
def test_lines_are_printed_below_their_names(form: str) -> None:
    head, line = printed([LINE], "csv" if form == "csv" else "table").splitlines()
    separator = "," if form == "csv" else None
    assert head.split(separator) == list(COLUMNS)
    assert line.split(separator) == [
        DAY, "reasoning", "abc", "60.0", "25.0", "10.0", "100.0", "5.0", "0.031", "0.00155", "5.0",
    ]  # fmt: skip


def test_each_line_is_one_of_json() -> None:
    [line] = printed([LINE], "jsonl").splitlines()
    assert json.loads(line)["unexplained_seconds"] == 5.0
