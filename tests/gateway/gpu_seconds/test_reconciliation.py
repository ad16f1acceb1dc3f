from collections.abc import Mapping

from gateway.gpu_seconds.reconciliation import (
    CACHED_SECONDS,
    DAY_SECONDS,
    DAYS_MAX,
    Reconciliation,
    end_of_day,
    midnight,
    of_tier,
)
from gateway.gpu_seconds.runpod_bill import Billed
from tests.doubles.clock import ManualClock
from tests.gateway.gpu_seconds.test_statement import LINE, MAP
from tiers.bill import Books

MIDNIGHT = 1_800_057_600.0


class Runpod:
    """Bills nothing; ``asked`` is for which times."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, float]] = []

    async def bill(self, since_unix: float, until_unix: float) -> list[Billed]:
        """Nothing."""
        self.asked.append((since_unix, until_unix))
        return []


async def _no_books(_since_unix: float, _until_unix: float) -> Mapping[tuple[str, str], Books]:
    return {}


def test_days_are_utcs_and_whole() -> None:
    assert midnight(MIDNIGHT) == midnight(MIDNIGHT + DAY_SECONDS - 1) == MIDNIGHT
    assert end_of_day(MIDNIGHT) == MIDNIGHT
    assert end_of_day(MIDNIGHT + 1) == MIDNIGHT + DAY_SECONDS


def test_a_tier_may_be_asked_for() -> None:
    assert of_tier([LINE], None) == of_tier([LINE], LINE.tier) == [LINE]
    assert of_tier([LINE], "another") == []


async def test_whoever_asks_often_is_shown_the_same_for_a_while() -> None:
    """Runpod takes few questions about bills."""
    runpod, clock = Runpod(), ManualClock(unix=MIDNIGHT + 60)
    subject = Reconciliation(bill=runpod.bill, books=_no_books, tier_map=lambda: MAP, clock=clock)
    for _ in range(3):
        await subject.lines(MIDNIGHT + 5)
    assert runpod.asked == [(MIDNIGHT, MIDNIGHT + DAY_SECONDS)]
    clock.advance(CACHED_SECONDS)
    await subject.lines(MIDNIGHT)
    assert len(runpod.asked) == 2


async def test_an_emulators_days_may_be_ahead() -> None:
    runpod, clock = Runpod(), ManualClock(unix=MIDNIGHT + 60)
    subject = Reconciliation(bill=runpod.bill, books=_no_books, tier_map=lambda: MAP, clock=clock, speed=20.0)
    await subject.lines(MIDNIGHT)
    assert runpod.asked == [(MIDNIGHT, MIDNIGHT + (1 + DAYS_MAX) * DAY_SECONDS)]
