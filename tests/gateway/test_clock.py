"""The machine's clocks."""

import time

from gateway.clock import SystemClock


def test_the_systems_clock_goes_forward() -> None:
    """By the machine's own."""
    clock = SystemClock()
    first = clock.monotonic()
    assert clock.monotonic() >= first
    assert abs(clock.unix() - time.time()) < 60
