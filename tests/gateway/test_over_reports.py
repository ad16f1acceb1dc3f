"""Usage above all that a request could take is counted each time, and told now and then."""

from typing import Any

from gateway.over_reports import EVERY_SECONDS, OverReports
from tests.doubles.clock import ManualClock


def test_each_is_counted_and_the_first_of_a_minute_is_told() -> None:
    """With how many there were since; for each tier."""
    clock = ManualClock()
    counted: list[str] = []
    told: list[dict[str, Any]] = []
    note = OverReports(
        count=lambda tier, _: counted.append(tier),
        clock=clock,
        report=lambda name, **fields: told.append({name: fields}),
    )
    note("a")
    note("a")
    note("b")
    clock.advance(EVERY_SECONDS)
    note("a")
    assert counted == ["a", "a", "b", "a"]
    assert told == [
        {"usage.over_reported": {"tier": "a", "amounts": 1}},
        {"usage.over_reported": {"tier": "b", "amounts": 1}},
        {"usage.over_reported": {"tier": "a", "amounts": 2}},
    ]
