"""What a webhook is told of a budget."""

import msgspec
import pytest

from gateway.alerts.notice import notice
from gateway.budget.ledger import Balance
from tiers.tiermap import Budget, Owner
from tiers.windows import Window

NOW = 1_800_000_000.0
DAY = Window(kind="calendar", seconds=86_400, unit="day")


def told(
    unit: str = "USD", *, limit: int = 50_000_000, settled: int = 40_000_000, kind: str = "agent", window: Window = DAY
) -> dict[str, object]:
    """What is posted, as JSON has it."""
    budget = Budget(name="daily", owner=Owner(kind=kind, pattern="*"), unit=unit, limit=limit, window=window)
    balance = Balance(
        budget="daily", owner="writer", unit=unit, limit=limit, settled=settled, held=7, window_ends_in_seconds=3599.6
    )
    plain: dict[str, object] = msgspec.to_builtins(notice(budget, balance, 80, id="a1", now_unix=NOW))
    return plain


def test_it_says_whose_budget_is_spent_to_which_part_and_until_when() -> None:
    assert told() == {
        "event": "budget.alert",
        "id": "a1",
        "text": "Budget daily of agent writer: 80 % spent, 40.00 USD of 50.00 USD.",
        "budget": "daily",
        "owner_kind": "agent",
        "owner": "writer",
        "unit": "USD",
        "percent": 80,
        "limit": 50_000_000,
        "settled": 40_000_000,
        "held": 7,
        "window_ends": "2027-01-15T09:00:00Z",
        "noticed": "2027-01-15T08:00:00Z",
    }


def test_a_rolling_window_has_no_end() -> None:
    assert told(window=Window(kind="rolling", seconds=3600))["window_ends"] is None


@pytest.mark.parametrize(
    ("unit", "limit", "settled", "text"),
    [
        ("GPU seconds", 3_000_000_000, 2_400_500_000, "2,400.50 GPU seconds of 3,000.00 GPU seconds"),
        ("tokens", 2_000_000, 1_600_000, "1,600,000 tokens of 2,000,000 tokens"),
        ("requests", 100, 80, "80 requests of 100 requests"),
    ],
)
def test_amounts_are_said_as_people_say_them(unit: str, limit: int, settled: int, text: str) -> None:
    assert text in str(told(unit, limit=limit, settled=settled)["text"])


def test_the_budget_of_everything_is_nobodys() -> None:
    assert str(told(kind="all")["text"]).startswith("Budget daily: 80 %")
