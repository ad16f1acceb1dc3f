"""Accounts."""

import pytest

from deploy.emulator.model.account import Account


@pytest.mark.parametrize(
    ("balance", "workers"),
    [(0, 5), (99.99, 5), (100, 10), (250, 20), (300, 30), (500, 40), (899, 50), (900, 60), (5000, 60)],
)
def test_the_quota_of_workers_grows_with_the_balance(balance: float, workers: int) -> None:
    assert Account(id="a", keys=set(), balance_usd=balance).workers_max == workers


def test_a_quota_set_by_hand_wins() -> None:
    assert Account(id="a", keys=set(), balance_usd=5000, quota_workers=0).workers_max == 0


def test_keys_do_not_show() -> None:
    assert "rpa_secret" not in repr(Account(id="a", keys={"rpa_secret"}))
