"""An explanation that a person can read."""

from typing import Any

from gateway.budget.ledger import Balance, Holding
from gateway.usage.explained import explained
from gateway.usage.told import told
from tests.gateway.samples import budget
from tiers.windows import Window

NOW = 1_800_000_000.0
BALANCE = Balance(
    budget="money", owner="writer", unit="USD", limit=5_000_000, settled=4_990_000, held=9_000,
    window_ends_in_seconds=3599.6,
)  # fmt: skip
HOLDING = Holding(claim_id="req_1", owner="writer", amount=9_000, until_unix=NOW + 60)
REFUSED: dict[str, Any] = {
    "request_id": "req_2", "received_unix": NOW, "key": "demo", "agent": "wri\nter", "run": "", "tier": "routing",
    "outcome": "refused",
}  # fmt: skip


def test_what_is_left_to_whom_what_holds_it_until_when_and_whom_it_refused() -> None:
    data = explained(budget(5_000_000), [BALANCE], [HOLDING], owner=None, now_unix=NOW)
    data["window"] |= {"begins": "2027-01-15T00:00:00+00:00", "ends": "2027-02-14T00:00:00+00:00"}
    assert (
        told({"data": [data], "refusals": [REFUSED]})
        == """\
money: 5.000000 USD, when spent: downgrade
window: aligned, from 2027-01-15T00:00:00+00:00, ends 2027-02-14T00:00:00+00:00

owner      limit   settled      held  available  window ends in
writer  5.000000  4.990000  0.009000   0.001000          3600 s

held by  owner   until                        amount
req_1    writer  2027-01-15T08:01:00+00:00  0.009000

refused  at                         key   agent     run  tier     outcome
req_2    2027-01-15T08:00:00+00:00  demo  wri\\nter  -    routing  refused
"""
    )


def test_what_there_is_not_is_said() -> None:
    """Also of a window that has no end."""
    rolling = budget(5_000_000)
    rolling = type(rolling)(
        name="money", owner=rolling.owner, limit=5_000_000, unit="USD", window=Window(kind="rolling", seconds=60)
    )
    text = told({"data": [explained(rolling, [], [], owner=None, now_unix=NOW)], "refusals": []})
    assert "ends never: what was spent leaves it as time goes by" in text
    assert "Nobody has spent or held anything of it." in text
    assert "No request holds any of it." in text
    assert text.endswith("It refused nobody among the latest records.\n")
