"""What is known of a way to Runpod."""

from gateway.journey import Journey


def test_a_journey_begins_with_nothing_known() -> None:
    """No way taken, no worker, no time that anybody told."""
    journey = Journey()
    assert (journey.way, journey.cold, journey.job, journey.worker, journey.tries) == ("", False, "", "", 0)
    assert (journey.delay_seconds, journey.execution_seconds, journey.worked_seconds_max) == (None, None, None)
