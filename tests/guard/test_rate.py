"""What a request costs, whatever the speed at which requests came."""

import pytest

from tests.guard.rate import Count, per_request, per_second

REQUEST, SECOND = 600_000, 1_600_000


def counted(requests: int, seconds: float) -> Count:
    """What callgrind would say where a request costs ``REQUEST`` and a second ``SECOND``."""
    return Count(instructions=round(requests * REQUEST + seconds * SECOND), requests=requests, seconds=seconds)


def test_two_speeds_tell_what_a_second_costs() -> None:
    assert per_second(counted(200, 1.2), counted(40, 1.2)) == pytest.approx(SECOND)


@pytest.mark.parametrize("seconds", [0.5, 1.2, 20.0])
def test_a_request_costs_the_same_on_every_machine(seconds: float) -> None:
    assert per_request(counted(200, seconds), second=SECOND, rate=160) == REQUEST + SECOND // 160


def test_noise_never_makes_time_pay() -> None:
    assert per_second(counted(200, 1.0), Count(instructions=40, requests=40, seconds=1.0)) == 0.0


def test_two_counts_at_the_same_speed_tell_nothing() -> None:
    with pytest.raises(ValueError, match="no longer"):
        per_second(counted(200, 1.0), counted(40, 0.2))
