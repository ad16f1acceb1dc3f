"""One budget, explained."""

from dataclasses import replace

from gateway.budget.ledger import Balance, Holding
from gateway.usage.explained import explained
from tests.gateway.samples import budget
from tiers.windows import Window

NOW = 1_800_000_000.0
BALANCES = [
    Balance(budget="money", owner=o, unit="USD", limit=5, settled=4, held=2, window_ends_in_seconds=9.0) for o in "ab"
]
HOLDINGS = [Holding(claim_id=f"req_{o}", owner=o, amount=2, until_unix=NOW + 5) for o in "ab"]


def test_an_owner_sees_its_own() -> None:
    told = explained(budget(), BALANCES, HOLDINGS, owner="b", now_unix=NOW)
    assert [owner["owner"] for owner in told["owners"]] == ["b"]
    assert told["owners"][0]["available_exact"] == "-0.000001"
    assert [holding["claim"] for holding in told["holdings"]] == ["req_b"]
    assert len(explained(budget(), BALANCES, HOLDINGS, owner=None, now_unix=NOW)["holdings"]) == 2


def test_windows() -> None:
    """A calendar's day begins where its zone says; a rolling window never ends."""
    berlin = replace(
        budget(), window=Window(kind="calendar", seconds=86_400, unit="day", zone="Europe/Berlin"), unit="tokens"
    )
    told = explained(berlin, [], [], owner=None, now_unix=NOW)
    assert (told["window"]["begins"], told["window"]["zone"]) == ("2027-01-14T23:00:00+00:00", "Europe/Berlin")
    assert told["limit_exact"] == "1000000"
    rolling = replace(budget(), window=Window(kind="rolling", seconds=60))
    window = explained(rolling, [], [], owner=None, now_unix=NOW)["window"]
    assert (window["begins_unix"], window["ends_unix"], window["ends"]) == (NOW - 60, None, None)
