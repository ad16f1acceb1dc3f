"""The numbers of ``docs/gpu-seconds.md`` are the code's."""

from fractions import Fraction

import pytest

from gateway.gpu_seconds.books import BELIEVED_SECONDS, KEPT_HOURS
from gateway.gpu_seconds.watch import HOLDS_SECONDS, ROUND_SECONDS
from gateway.upstream.runpod_times import RunpodTimes
from tests.docs.markdown import Page, tables
from tiers.bill import Books
from tiers.meter import Meter
from tiers.warmth import Sample
from tiers.worker_moment import Asked, Moment
from tiers.worker_seconds import WorkerSight, Working

PAGE = Page("docs/gpu-seconds.md")


def test_the_worked_example_is_what_the_meter_says() -> None:
    [table] = [each for each in tables(PAGE.text) if "A pays" in each.columns]
    written = [float(sum(Fraction(cell) for cell in table.column(f"{name} pays") if cell)) for name in ("A", "B", "C")]
    meter = Meter()
    a = meter.start(0.0)
    b = meter.start(2.0)
    meter.tell(4.0, workers=2, elsewhere=0)
    c = meter.start(4.0)
    shares = [meter.finish(a, 6.0), meter.finish(b, 6.0), meter.finish(c, 7.0)]
    assert shares == pytest.approx(written)
    assert sum(shares) == pytest.approx(9.0)
    assert "A pays {:.3f} s, B {:.3f} s and C {:.3f} s".format(*shares) in PAGE.text


def test_the_worked_example_of_a_worker_is_what_is_seen_of_it() -> None:
    """Its last columns are what is booked so far."""
    [table] = [each for each in tables(PAGE.text) if "look at" in each.columns]
    looks, running, ready = (map(int, table.column(name)) for name in ("look at", "running", "ready"))
    sight, before, at = WorkerSight(balanced=True, idle_timeout=10.0, load=60.0), Working(), 0
    starting = awake = 0.0
    rows = zip(looks, running, ready, table.column("starting, s"), table.column("awake, s"), strict=True)
    for now, runs, is_ready, told_starting, told_awake in rows:
        starting += before.starting * (now - at)
        awake += before.awake * (now - at)
        before, at = _seen(sight, now, Sample(running=runs, ready=is_ready)), now
        starting += before.starting_before
        awake += before.awake_before
        assert (starting, awake) == (float(told_starting), float(told_awake))
    books = Books(
        attributed={"a": round((SERVED[1] - SERVED[0]) * 1000)},
        starting=round(starting * 1000),
        awake=round(awake * 1000),
    )
    assert f"idle {awake:g} - 5 = {books.idle / 1000:g} s" in PAGE.text
    assert f"{books.seen / 1000:g} s together" in PAGE.text


ASKED, SERVED = 10, (41, 46)


def _seen(sight: WorkerSight, now: int, sample: Sample) -> Working:
    asks = ASKED <= now <= SERVED[1]
    asked = Asked(earliest=ASKED, likely=ASKED) if asks else None
    return sight.see(
        Moment(now=now, sample=sample, sampled_at=now, warm=sample.ready > 0, in_flight=int(asks), asked=asked)
    )


def test_its_times_are_the_codes() -> None:
    times, text = RunpodTimes(), " ".join(PAGE.text.split())
    assert f"every {ROUND_SECONDS:g} s" in text
    assert f"nothing for {HOLDS_SECONDS:g} s" in text
    assert f"for {KEPT_HOURS // 24} days" in text
    assert f"every {times.health_billed:g} s while one is billed, every {times.health_used:g} s while" in text
    assert f"every {times.health_unused:g} s while there is none" in text
    assert f"for up to {BELIEVED_SECONDS:g} s" in text
