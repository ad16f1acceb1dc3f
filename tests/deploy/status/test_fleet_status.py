"""What is seen of a fleet."""

from dataclasses import replace

from tests.deploy.status.statuses import GOOD, STATUS


def test_one_endpoint_that_differs_is_drift() -> None:
    assert STATUS.drifted
    assert not replace(STATUS, endpoints=(GOOD,)).drifted


def test_costs_are_added_up() -> None:
    assert STATUS.day_usd == 1.5
