"""How long things take at Runpod."""

from dataclasses import fields

from gateway.upstream.runpod_times import LOOKS_APART_SECONDS, RunpodTimes


def test_on_a_clock_that_runs_faster_everything_takes_less_time() -> None:
    """Each of them, by as much."""
    usual, fast = RunpodTimes(), RunpodTimes().faster(20)
    assert all(getattr(fast, each.name) * 20 == getattr(usual, each.name) for each in fields(usual))


def test_looks_at_what_is_only_billed_keep_no_machine_busy() -> None:
    """Ten a second for each endpoint, however fast an emulator's clock runs."""
    assert RunpodTimes().faster(100).health_billed == LOOKS_APART_SECONDS
    assert RunpodTimes().faster(1).health_billed == RunpodTimes().health_billed


def test_bad_news_are_believed_for_longer_than_an_unused_endpoint_goes_without_a_look() -> None:
    """Else they would be doubted and heard again in turns."""
    times = RunpodTimes()
    assert times.believed > times.health_unused
    assert times.stuck > times.grace > times.health_awaited
