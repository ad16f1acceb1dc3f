"""What processes have counted adds up."""

import msgspec
import pytest

from gateway.telemetry.snapshot import Snapshot, merged

ONE = Snapshot(
    totals={"requests": {("a",): [100.0, 2.0], ("b",): [90.0, 1.0]}, "wait": {(): [50.0, 0.5, 1.0, 0.0]}},
    gauges={"queue": {("a",): [3.0]}},
)
OTHER = Snapshot(
    totals={"requests": {("a",): [80.0, 5.0]}, "wait": {(): [60.0, 1.5, 2.0, 4.0]}, "refusals": {("c",): [1.0, 1.0]}},
    gauges={"queue": {("a",): [4.0], ("b",): [1.0]}},
)


def test_numbers_add_up_and_a_series_began_with_its_first() -> None:
    """Series that only one has are taken as they are."""
    assert merged([ONE, OTHER]) == Snapshot(
        totals={
            "requests": {("a",): [80.0, 7.0], ("b",): [90.0, 1.0]},
            "wait": {(): [50.0, 2.0, 3.0, 4.0]},
            "refusals": {("c",): [1.0, 1.0]},
        },
        gauges={"queue": {("a",): [7.0], ("b",): [1.0]}},
    )


def test_what_is_added_up_stays_as_it_was() -> None:
    """It is added again at the next scrape."""
    before = msgspec.msgpack.encode([ONE, OTHER])
    merged([ONE, OTHER, ONE])
    assert msgspec.msgpack.encode([ONE, OTHER]) == before


def test_of_a_process_that_has_ended_only_totals_are_left() -> None:
    """Nothing waits there any more."""
    assert ONE.ended() == Snapshot(totals=ONE.totals)


def test_nothing_is_empty() -> None:
    """And two empty ones do not share what is put into one."""
    assert merged([]) == Snapshot()
    assert Snapshot().totals is not Snapshot().totals


def test_series_of_different_shapes_do_not_add_up() -> None:
    """They are of different releases."""
    with pytest.raises(ValueError, match="shorter"):
        merged([ONE, Snapshot(totals={"wait": {(): [1.0, 2.0]}})])
