"""The values of the contract; its verbs are tested in ``tests/contract``."""

import pytest

from gateway.budget.ledger import AMOUNT_MAX, LIFE_SECONDS_MAX, Balance, check_amounts
from tests.contract.ledgers import claim, hold


@pytest.mark.parametrize("life", [0, -1, LIFE_SECONDS_MAX + 1])
def test_a_life_has_bounds(life: float) -> None:
    """A reservation that never ended would hold its slot for ever."""
    with pytest.raises(ValueError, match="life_seconds"):
        claim("r", life=life)


@pytest.mark.parametrize("amount", [-1, AMOUNT_MAX + 1])
def test_an_amount_has_bounds(amount: int) -> None:
    """A negative hold would make money, and larger sums would not be exact."""
    with pytest.raises(ValueError, match="amount"):
        claim("r", hold(amount))


def test_amounts_settle_a_claim_one_by_one() -> None:
    """As many as there are holds."""
    check_amounts(claim("r", hold(1), hold(2)), [0, AMOUNT_MAX])
    with pytest.raises(ValueError, match="1 amounts for 2 holds"):
        check_amounts(claim("r", hold(1), hold(2)), [1])


def test_what_is_available_is_what_is_neither_settled_nor_held() -> None:
    """Below zero where a cost was more than what was held for it."""
    balance = Balance(budget="daily", owner="a", unit="USD", limit=5, settled=4, held=3, window_ends_in_seconds=1.0)
    assert balance.available == -2
